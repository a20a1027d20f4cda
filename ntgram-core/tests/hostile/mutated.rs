//! Model files with anything changed in them: bytes, lengths, and the header's names, kinds, shapes, places and sizes.

use std::path::Path;

use ntgram_core::prelude::*;
use serde_json::Value;

use super::calls::Calls;
use super::readers;

crate::groups! {
    "" => changed_files,
}

/// Files of each kind, seeds, and changed files for each seed.
const SEEDS: u64 = 12;
const FILES: usize = 600;

/// Values that a header may hold in place of any other.
const ODD: [&str; 16] = [
    "0",
    "1",
    "-1",
    "1.5",
    "1000000000000",
    "9223372036854775808",
    "18446744073709551615",
    "1e400",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[18446744073709551615, 2]",
    "\"F64\"",
    "\"🦀\"",
];

struct Changes {
    rng: TorchRng,
}

impl Changes {
    fn below(&mut self, count: usize) -> usize {
        self.rng.next_word() as usize % count.max(1)
    }

    /// One change of a file's bytes.
    fn bytes(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        // half of them where the header is
        let at = if self.below(2) == 0 { at.min(self.below(600)) } else { at };
        let last = bytes.len() - 1;
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.rng.next_word() as u8),
            2 => drop(bytes.remove(at.min(last))),
            3 => bytes.extend_from_slice(&[0; 16]),
            4 => bytes[..8].copy_from_slice(&self.rng.draw64().to_le_bytes()),
            _ => bytes[at.min(last)] ^= 1 << self.below(8),
        }
    }

    /// One change somewhere in a header.
    fn value(&mut self, value: &mut Value) {
        let odd = serde_json::from_str(ODD[self.below(ODD.len())]).unwrap_or(Value::Null);
        match value {
            Value::Object(map) if !map.is_empty() && self.below(8) > 0 => {
                let key = map.keys().nth(self.below(map.len())).cloned().unwrap_or_default();
                match self.below(8) {
                    0 => drop(map.remove(&key)),
                    1 => drop(map.insert(format!("{key}x"), odd)),
                    2 => {
                        let taken = map.remove(&key).unwrap_or_default();
                        map.insert("renamed".to_owned(), taken);
                    }
                    _ => self.value(map.get_mut(&key).unwrap()),
                }
            }
            Value::Array(list) if !list.is_empty() && self.below(4) > 0 => {
                let at = self.below(list.len());
                self.value(&mut list[at]);
            }
            // the sizes are text inside the header
            Value::String(text) if text.starts_with('{') && self.below(8) > 0 => {
                let mut inner: Value = serde_json::from_str(text).unwrap_or_default();
                self.value(&mut inner);
                *text = inner.to_string();
            }
            other => *other = odd,
        }
    }

    /// A changed file.
    fn of(&mut self, file: &[u8]) -> Vec<u8> {
        let mut bytes = file.to_vec();
        for _ in 0..1 + self.below(3) {
            let end = bytes.len().min(8);
            let length = u64::from_le_bytes(bytes[..end].try_into().unwrap_or_default()) as usize;
            let header =
                bytes.get(8..length.saturating_add(8)).and_then(|text| serde_json::from_slice::<Value>(text).ok());
            match header {
                Some(mut header) if self.below(3) > 0 => {
                    self.value(&mut header);
                    let text = header.to_string();
                    let rest = bytes.split_off(8 + length);
                    bytes = [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &rest].concat();
                }
                _ if bytes.len() > 8 => self.bytes(&mut bytes),
                _ => {}
            }
        }
        bytes
    }
}

fn changed_files(calls: &mut Calls) {
    let whole = readers::save_whole(Path::new(".")).unwrap().map(|name| std::fs::read(name).unwrap());
    for seed in 0..SEEDS {
        calls.right(format!("seed {seed}"), || {
            let mut changes = Changes { rng: TorchRng::new(seed) };
            let mut taken = 0;
            for file in whole.iter().cycle().take(FILES) {
                std::fs::write("changed", changes.of(file)).unwrap();
                match readers::read(Path::new("changed")) {
                    Ok(read) => taken += usize::from(read),
                    Err(wrong) => {
                        let kept = std::env::temp_dir().join(format!("ntgram-changed-{seed}"));
                        std::fs::rename("changed", &kept).ok();
                        println!("{}: {wrong}", kept.display());
                        return Ok(false);
                    }
                }
            }
            // some changes touch a value alone, and most are seen
            Ok((1..FILES / 2).contains(&taken))
        });
    }
}
