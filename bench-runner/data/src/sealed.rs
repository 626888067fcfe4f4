//! Bytes with their checksum before them, so that a flipped bit is found when they are read.

use crate::sha256;

/// Letters of a SHA-256 in hexadecimal.
const DIGEST: usize = 64;

/// The SHA-256 of some bytes in hexadecimal, a line break, and the bytes.
pub fn seal(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = sha256(bytes).into_bytes();
    sealed.push(b'\n');
    sealed.extend_from_slice(bytes);
    sealed
}

/// The bytes that were [sealed](seal).
///
/// # Errors
/// When the checksum is missing or not that of the bytes.
pub fn unseal(sealed: &[u8]) -> Result<&[u8], &'static str> {
    let (digest, rest) = sealed.split_at_checked(DIGEST).ok_or("it is cut")?;
    let bytes = rest.strip_prefix(b"\n").ok_or("it has no checksum")?;
    match sha256(bytes).as_bytes() == digest {
        true => Ok(bytes),
        false => Err("its checksum is not that of its content"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\nabc";
        assert_eq!(seal(b"abc"), expected.as_bytes());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let sealed = seal(b"numbers");
        assert_eq!(unseal(&sealed), Ok(b"numbers".as_slice()));
        for bit in 0..8 * sealed.len() {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(&flipped).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(unseal(&sealed[..length]).is_err(), "{length} bytes");
        }
    }
}
