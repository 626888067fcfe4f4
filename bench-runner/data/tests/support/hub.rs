//! A stand-in for the Hugging Face hub on 127.0.0.1, with the hub's routes, and faults on demand.
//!
//! Small files are answered by the hub itself, large ones by a redirect to a second port, as the real hub does.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The commit that the stand-in serves.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Files from this size on are redirected to the second port.
const LARGE: usize = 1 << 12;

/// What goes wrong with one request for a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Answers with this status, and these header lines.
    Status(u16, &'static str),
    /// Sends this many bytes of the body, then cuts the connection.
    Cut(usize),
    /// Sends the body in pieces of so many bytes with a pause between.
    Trickle(usize, Duration),
    /// Sends nothing of the body and keeps the connection open for so long.
    Stall(Duration),
    /// Claims and sends so many bytes less than there are.
    Short(usize),
    /// Changes the lowest bit of one byte.
    Flip(usize),
    /// Answers with a web page instead, of this content type.
    Page(&'static str),
    /// Ignores the range asked for.
    NoRange,
    /// Ignores `If-Range`.
    Unconditional,
    /// Packs the body with gzip, asked or not.
    Packed,
    /// Sends this many bytes of the body without saying how many there are.
    Unframed(usize),
    /// Sends zeros without saying how many, until the client hangs up.
    Endless,
    /// Sends zeros in chunks, until the client hangs up.
    EndlessChunks,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub range: Option<String>,
    pub authorization: Option<String>,
    pub at: Instant,
    /// Whether it went to the second port.
    pub redirected: bool,
}

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<Vec<Request>>,
    token: Mutex<Option<String>>,
}

/// The stand-in; it answers until the test ends.
pub struct StandInHub {
    shared: Arc<Shared>,
    pub endpoint: String,
}

impl StandInHub {
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (front, back) = (bind(), bind());
        let back_port = back.local_addr().unwrap().port();
        let endpoint = format!("http://{}", front.local_addr().unwrap());
        for (listener, redirected) in [(front, false), (back, true)] {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || {
                        // A client that hangs up is part of some tests.
                        let _ = answer(&shared, stream, redirected, back_port);
                    });
                }
            });
        }
        Self { shared, endpoint }
    }

    /// Adds a file of the dataset `owner/name`.
    pub fn add(&self, repository: &str, path: &str, bytes: Vec<u8>) {
        self.add_at(
            format!("/datasets/{repository}/resolve/{COMMIT}/{path}"),
            bytes,
        );
    }

    /// Adds a file at a path of the server's.
    pub fn add_at(&self, path: String, bytes: Vec<u8>) {
        self.shared.files.lock().unwrap().insert(path, bytes);
    }

    /// The faults of the next requests for files, in order; afterwards all goes well.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.lock().unwrap().extend(faults);
    }

    /// Refuses requests without this token.
    pub fn require_token(&self, token: &str) {
        *self.shared.token.lock().unwrap() = Some(token.into());
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }
}

fn answer(
    shared: &Shared,
    mut stream: TcpStream,
    redirected: bool,
    back_port: u16,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    let mut words = first.split(' ');
    let (method, path) = (
        words.next().unwrap_or(""),
        words.next().unwrap_or("").to_string(),
    );
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_string());
    }
    shared.requests.lock().unwrap().push(Request {
        range: headers.get("range").cloned(),
        authorization: headers.get("authorization").cloned(),
        at: Instant::now(),
        redirected,
    });
    if let Some(repository) = path
        .strip_prefix("/api/datasets/")
        .and_then(|p| p.strip_suffix(&format!("/revision/{COMMIT}")))
    {
        let prefix = format!("/datasets/{repository}/resolve/{COMMIT}/");
        let files = shared.files.lock().unwrap();
        let siblings: Vec<String> = files
            .keys()
            .filter_map(|url| url.strip_prefix(&prefix))
            .map(|name| format!("{{\"rfilename\":\"{name}\"}}"))
            .collect();
        let body = format!(
            "{{\"id\":\"{repository}\",\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}",
            siblings.join(",")
        );
        return send(
            &mut stream,
            200,
            "Content-Type: application/json\r\n",
            body.as_bytes(),
        );
    }
    let token = shared.token.lock().unwrap().clone();
    if !redirected
        && let Some(token) = token
        && headers.get("authorization") != Some(&format!("Bearer {token}"))
    {
        return send(&mut stream, 401, "", b"Invalid credentials");
    }
    let Some(body) = shared.files.lock().unwrap().get(&path).cloned() else {
        return send(&mut stream, 404, "", b"Entry not found");
    };
    let commit = format!(
        "X-Repo-Commit: {COMMIT}\r\nETag: \"{}\"\r\n",
        bench_data::sha256(&body)
    );
    if !redirected && body.len() >= LARGE {
        let location = format!(
            "{commit}X-Linked-Size: {}\r\nLocation: http://127.0.0.1:{back_port}{path}\r\n",
            body.len()
        );
        return send(&mut stream, 302, &location, b"");
    }
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        (!faults.is_empty()).then(|| faults.remove(0))
    };
    match &fault {
        Some(Fault::Status(status, extra)) => {
            return send(&mut stream, *status, extra, b"an error page");
        }
        Some(Fault::Page(kind)) => {
            let head = format!("Content-Type: {kind}\r\n");
            return send(
                &mut stream,
                200,
                &head,
                b"<!DOCTYPE html><html>Please log in</html>",
            );
        }
        _ => {}
    }
    let total = body.len();
    let tag = format!("\"{}\"", bench_data::sha256(&body));
    let changed = headers.get("if-range").is_some_and(|wanted| *wanted != tag);
    let whole = fault == Some(Fault::NoRange) || changed && fault != Some(Fault::Unconditional);
    let start = headers.get("range").filter(|_| !whole).and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    if start.is_some_and(|start| start >= total) {
        return send(
            &mut stream,
            416,
            &format!("Content-Range: bytes */{total}\r\n"),
            b"",
        );
    }
    let unframed = |stream: &mut TcpStream, bytes: &[u8]| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        stream.write_all(bytes)
    };
    match fault {
        Some(Fault::Unframed(count)) => {
            unframed(&mut stream, &body[..count])?;
            return stream.shutdown(Shutdown::Write);
        }
        Some(Fault::Endless) => {
            unframed(&mut stream, &[])?;
            loop {
                stream.write_all(&[0; 1 << 16])?;
            }
        }
        Some(Fault::EndlessChunks) => {
            stream.write_all(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            )?;
            loop {
                stream.write_all(b"10000\r\n")?;
                stream.write_all(&[0; 1 << 16])?;
                stream.write_all(b"\r\n")?;
            }
        }
        Some(Fault::Packed) => {
            let level = flate2::Compression::fast();
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
            packer.write_all(&body)?;
            let head = "Content-Encoding: gzip\r\n";
            return send(&mut stream, 200, head, &packer.finish()?);
        }
        _ => {}
    }
    let mut part = body[start.unwrap_or(0)..].to_vec();
    let mut claimed = total;
    match fault {
        Some(Fault::Short(less)) => {
            part.truncate(part.len() - less);
            claimed = total - less;
        }
        Some(Fault::Flip(at)) => part[at] ^= 1,
        _ => {}
    }
    let (status, range) = match start {
        None => ("200 OK", String::new()),
        Some(start) => (
            "206 Partial Content",
            format!("Content-Range: bytes {start}-{}/{claimed}\r\n", claimed - 1),
        ),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{commit}Accept-Ranges: bytes\r\n{range}Content-Length: {}\r\nConnection: close\r\n\r\n",
        part.len()
    )?;
    if method == "HEAD" {
        return stream.shutdown(Shutdown::Write);
    }
    match fault {
        Some(Fault::Cut(after)) => {
            stream.write_all(&part[..after.min(part.len())])?;
            stream.flush()?;
            return stream.shutdown(Shutdown::Both);
        }
        Some(Fault::Stall(pause)) => std::thread::sleep(pause),
        Some(Fault::Trickle(piece, pause)) => {
            for piece in part.chunks(piece) {
                stream.write_all(piece)?;
                stream.flush()?;
                std::thread::sleep(pause);
            }
        }
        _ => stream.write_all(&part)?,
    }
    stream.shutdown(Shutdown::Write)
}

fn send(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} -\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    stream.shutdown(Shutdown::Write)
}
