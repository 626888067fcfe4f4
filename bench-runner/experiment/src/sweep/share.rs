//! A share of a plan's runs.

use std::str::FromStr;

/// A share of a plan's runs: every `count`-th, beginning with the one at `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which share, from 0.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl Shard {
    /// The indices of its runs among `runs`.
    pub fn of(self, runs: usize) -> impl Iterator<Item = usize> {
        (self.index..runs).step_by(self.count)
    }
}

/// A text that names no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write I/N, the share's index from 0 to N-1 and the number of shares")]
pub struct NoShard;

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let parts = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err(NoShard),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_disjoint_and_cover_everything() {
        for runs in [0, 1, 7, 100] {
            for count in [1, 2, 3, 150] {
                let mut all: Vec<usize> = (0..count)
                    .flat_map(|index| Shard { index, count }.of(runs))
                    .collect();
                all.sort_unstable();
                assert_eq!(all, (0..runs).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn shards_are_read_as_index_and_count() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
        for text in ["3/3", "0/0", "-1/3", "1", "1/", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
