//! The batches in the order of the visits, shuffled a little ahead of the steps: on a thread of its own where one is free, else beside
//! the step before by whichever thread is done first with that ([`Feed::prepare`]).

use super::contexts::Keys;
use crate::rng::{Permutation, TorchRng};
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

/// Samples that are prepared in one go, at least.
const BLOCK: usize = 1 << 14;

/// All samples, as far as they are shuffled.
#[derive(Debug)]
struct Stream {
    keys: Keys,
    permutation: Option<Permutation>,
    /// Samples given out.
    done: usize,
    /// Samples given out at a time: whole batches.
    portion: usize,
}

/// Who shuffles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum By {
    /// A thread that has nothing else to do, if the data are long enough for one.
    Thread,
    /// Whoever calls [`Feed::prepare`] in each step.
    Steps,
    /// [`Feed::batch`], when there is nothing left.
    Demand,
}

impl Stream {
    /// Replaces what `block` holds by the next samples; by none at the end.
    fn next(&mut self, block: &mut Vec<u32>) {
        let range = self.done..self.keys.len().min(self.done + self.portion);
        self.done = range.end;
        block.clear();
        match &mut self.keys {
            Keys::Short(keys) => {
                self.permutation.iter_mut().for_each(|p| p.advance(keys, range.end));
                block.extend(keys[range].iter().map(|&key| u32::from(key)));
            }
            Keys::Long(keys) => {
                self.permutation.iter_mut().for_each(|p| p.advance(keys, range.end));
                block.extend_from_slice(&keys[range]);
            }
        }
    }
}

#[derive(Debug)]
enum Source {
    Here(Box<Stream>),
    /// A thread prepares blocks ahead; used ones go back to it. It ends when the channels do.
    Ahead {
        blocks: Receiver<Vec<u32>>,
        used: Sender<Vec<u32>>,
    },
}

/// Gives out batch after batch.
#[derive(Debug)]
pub(super) struct Feed {
    source: Source,
    /// The next block, if it is prepared.
    ready: Option<Vec<u32>>,
    /// A block that was used up.
    used: Vec<u32>,
    batch_size: usize,
    /// Where the next batch begins in the block, and the block's length.
    at: usize,
    len: usize,
}

impl Feed {
    /// Batches of `batch_size` keys; `shuffle`: the seed of the generator whose `randperm` is their order.
    pub(super) fn new(keys: Keys, shuffle: Option<u64>, batch_size: usize, by: By) -> Self {
        let portion = if by == By::Steps { batch_size } else { BLOCK.div_ceil(batch_size).saturating_mul(batch_size) };
        let long = keys.len() / 4 > portion;
        let permutation = shuffle.map(|seed| Permutation::new(TorchRng::new(seed)));
        let stream = Stream { keys, permutation, done: 0, portion };
        let source = if by == By::Thread && long { prepare_ahead(stream) } else { Source::Here(Box::new(stream)) };
        Self { source, ready: None, used: Vec::new(), batch_size, at: 0, len: 0 }
    }

    /// Shuffles what [`Feed::batch`] will give after its block is used up.
    pub(super) fn prepare(&mut self) {
        if let (Source::Here(stream), None) = (&mut self.source, &self.ready) {
            let mut block = std::mem::take(&mut self.used);
            stream.next(&mut block);
            self.ready = Some(block);
        }
    }

    /// Where the keys of the next batch lie in `block`, which is replaced by the next one when it is used up; empty at the end. `block` must
    /// be the same in every call, and as the last call left it.
    pub(super) fn batch(&mut self, block: &mut Vec<u32>) -> Range<usize> {
        if self.at == self.len {
            match &mut self.source {
                Source::Here(stream) => match self.ready.take() {
                    Some(next) => self.used = std::mem::replace(block, next),
                    None => stream.next(block),
                },
                Source::Ahead { blocks, used } => {
                    let next = blocks.recv().unwrap_or_default();
                    // The thread may have ended already.
                    let _ = used.send(std::mem::replace(block, next));
                }
            }
            (self.at, self.len) = (0, block.len());
        }
        self.at..self.len.min(self.at.saturating_add(self.batch_size))
    }

    /// Goes on to the batch after the one that [`Feed::batch`] gives.
    pub(super) fn advance(&mut self) {
        self.at = self.len.min(self.at.saturating_add(self.batch_size));
    }
}

/// Gives the stream to a thread; keeps it where none can be started.
fn prepare_ahead(stream: Stream) -> Source {
    let (send, blocks) = sync_channel(2);
    let (used, reusable) = channel();
    let place = std::sync::Arc::new(std::sync::Mutex::new(Some(stream)));
    let theirs = std::sync::Arc::clone(&place);
    let take = |place: &std::sync::Mutex<Option<Stream>>| place.lock().ok().and_then(|mut stream| stream.take());
    let started = std::thread::Builder::new().name("engine-feed".to_owned()).spawn(move || {
        let Some(mut stream) = take(&theirs) else { return };
        loop {
            let mut block = reusable.try_recv().unwrap_or_default();
            stream.next(&mut block);
            if block.is_empty() || send.send(block).is_err() {
                return;
            }
        }
    });
    match started {
        Ok(_) => Source::Ahead { blocks, used },
        Err(_) => Source::Here(Box::new(take(&place).expect("no thread took it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_the_same_whoever_shuffles() {
        let keys: Vec<u16> = (0..100_003u32).map(|i| (i * 7 % 60_013) as u16).collect();
        let order = TorchRng::new(5).randperm(keys.len() as u32);
        let want: Vec<u32> = order.iter().map(|&i| keys[i as usize].into()).collect();
        let long = keys.iter().map(|&key| key.into()).collect();
        let short = || Keys::Short(keys.clone());
        let all = [(short(), By::Demand), (short(), By::Steps), (short(), By::Thread), (Keys::Long(long), By::Thread)];
        for (keys, by) in all {
            let mut feed = Feed::new(keys, Some(5), 1000, by);
            assert_eq!(matches!(feed.source, Source::Ahead { .. }), by == By::Thread);
            let (mut got, mut block) = (Vec::new(), Vec::new());
            loop {
                // Now and then nobody finds the time.
                if by == By::Steps && got.len() % 7000 != 0 {
                    feed.prepare();
                }
                let range = feed.batch(&mut block);
                assert_eq!(feed.batch(&mut block), range, "the same until it goes on");
                assert_eq!(range.len(), (want.len() - got.len()).min(1000));
                if range.is_empty() {
                    break;
                }
                got.extend_from_slice(&block[range]);
                feed.advance();
            }
            assert!(got == want);
        }
    }

    #[test]
    fn an_unfinished_thread_ends_with_its_feed() {
        let mut feed = Feed::new(Keys::Long((0..1 << 20).collect()), None, 100, By::Thread);
        let mut block = Vec::new();
        let range = feed.batch(&mut block);
        assert_eq!(block[range][..3], [0, 1, 2]);
        let Source::Ahead { used, .. } = &feed.source else { panic!("a thread prepares") };
        let used = used.clone();
        drop(feed);
        // Its end of the channel goes when it ends.
        while used.send(Vec::new()).is_ok() {
            std::thread::yield_now();
        }
    }
}
