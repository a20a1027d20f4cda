//! The batches in the order of the visits, shuffled a portion at a time, a little ahead of the steps. Where a thread is
//! free it does nothing else. Where not, the thread that is done first with a step prepares the next ([`Feed::prepare`]).

use super::Epoch;
use super::keys::{Keys, Words};
use crate::rng::{Permutation, TorchRng};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

/// Samples that are shuffled in one go, at least, where that need not fit into a step.
const LEAST_PORTION: usize = 1 << 14;

/// Portions that the data must have before a thread of its own is started for them.
const PORTIONS_FOR_A_THREAD: usize = 4;

/// All samples, as far as they are shuffled.
#[derive(Debug)]
struct Samples {
    keys: Keys,
    /// Where the keys themselves cannot be shuffled, because a sample has many or the next epoch shuffles them anew: the samples' numbers,
    /// which are shuffled instead. Else empty.
    order: Vec<u32>,
    permutation: Option<Permutation>,
    /// What the epochs after this one are shuffled with.
    later: VecDeque<Option<u64>>,
    /// Samples of this epoch given out.
    done: usize,
    /// Samples given out at a time: whole batches.
    portion_len: usize,
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

impl By {
    /// For `threads` threads that work on `n_parts` parts.
    pub(super) fn one_of(threads: usize, n_parts: usize) -> Self {
        match n_parts {
            _ if threads > n_parts => By::Thread,
            1 => By::Demand,
            _ => By::Steps,
        }
    }
}

impl Samples {
    fn new(keys: Keys, epochs: &[Epoch], portion_len: usize) -> Self {
        let ordered = epochs.len() > 1 || keys.per_sample > MOST_WORDS;
        let order = vec![0; if ordered { keys.len() } else { 0 }];
        let later = epochs.iter().map(|epoch| epoch.shuffle).collect();
        let mut new = Self { keys, order, permutation: None, later, done: 0, portion_len };
        new.begin_epoch();
        new
    }

    /// Whether there was another.
    fn begin_epoch(&mut self) -> bool {
        let Some(shuffle) = self.later.pop_front() else { return false };
        self.permutation = shuffle.map(|seed| Permutation::new(TorchRng::new(seed)));
        self.order.iter_mut().zip(0..).for_each(|(place, i)| *place = i);
        self.done = 0;
        true
    }

    /// Replaces what `portion` holds by the next samples' keys; by none at the end. A portion ends with its epoch.
    fn next(&mut self, portion: &mut Vec<u32>) {
        portion.clear();
        if self.done == self.keys.len() && !self.begin_epoch() {
            return;
        }
        let range = self.done..self.keys.len().min(self.done + self.portion_len);
        self.done = range.end;
        let Self { keys: Keys { words, per_sample }, order, permutation, .. } = self;
        if order.is_empty() {
            let at = range.start * *per_sample..range.end * *per_sample;
            match words {
                Words::Short(keys) => {
                    permutation.iter_mut().for_each(|p| advance(p, keys, *per_sample, range.end));
                    portion.extend(keys[at].iter().map(|&key| u32::from(key)));
                }
                Words::Long(keys) => {
                    permutation.iter_mut().for_each(|p| advance(p, keys, *per_sample, range.end));
                    portion.extend_from_slice(&keys[at]);
                }
            }
            return;
        }
        permutation.iter_mut().for_each(|p| p.advance(order, range.end));
        let samples = order[range].iter().map(|&i| i as usize * *per_sample..(i as usize + 1) * *per_sample);
        match words {
            Words::Short(keys) => samples.for_each(|at| portion.extend(keys[at].iter().map(|&key| u32::from(key)))),
            Words::Long(keys) => samples.for_each(|at| portion.extend_from_slice(&keys[at])),
        }
    }
}

/// Words of a sample that are moved at once.
const MOST_WORDS: usize = 8;

/// Goes on with the permutation of samples of so many words, at most [`MOST_WORDS`], until `to` have their place.
fn advance<T>(permutation: &mut Permutation, keys: &mut [T], per_sample: usize, to: usize) {
    match per_sample {
        1 => permutation.advance(keys, to),
        2 => permutation.advance(keys.as_chunks_mut::<2>().0, to),
        3 => permutation.advance(keys.as_chunks_mut::<3>().0, to),
        4 => permutation.advance(keys.as_chunks_mut::<4>().0, to),
        5 => permutation.advance(keys.as_chunks_mut::<5>().0, to),
        6 => permutation.advance(keys.as_chunks_mut::<6>().0, to),
        7 => permutation.advance(keys.as_chunks_mut::<7>().0, to),
        _ => permutation.advance(keys.as_chunks_mut::<MOST_WORDS>().0, to),
    }
}

#[derive(Debug)]
enum Source {
    Here(Box<Samples>),
    /// A thread prepares portions ahead; used ones go back to it. It ends when the channels do.
    Ahead {
        portions: Receiver<Vec<u32>>,
        used: Sender<Vec<u32>>,
    },
}

/// Gives out batch after batch.
#[derive(Debug)]
pub(super) struct Feed {
    source: Source,
    /// The next portion, if it is prepared.
    ready: Option<Vec<u32>>,
    /// A portion that was used up.
    used: Vec<u32>,
    /// Words of a batch's keys.
    batch_len: usize,
    /// Where the next batch begins in the portion, and the portion's length.
    at: usize,
    len: usize,
}

impl Feed {
    /// Batches of `batch_size` samples' keys, epoch after epoch.
    pub(super) fn new(keys: Keys, epochs: &[Epoch], batch_size: usize, by: By) -> Self {
        let whole_batches = LEAST_PORTION.div_ceil(batch_size).saturating_mul(batch_size);
        let portion_len = if by == By::Steps { batch_size } else { whole_batches };
        let long = keys.len() / PORTIONS_FOR_A_THREAD > portion_len;
        let batch_len = batch_size.saturating_mul(keys.per_sample);
        let samples = Samples::new(keys, epochs, portion_len);
        let source = if by == By::Thread && long { prepare_ahead(samples) } else { Source::Here(Box::new(samples)) };
        Self { source, ready: None, used: Vec::new(), batch_len, at: 0, len: 0 }
    }

    /// Shuffles what [`Feed::batch`] will give after its portion is used up.
    pub(super) fn prepare(&mut self) {
        if let (Source::Here(samples), None) = (&mut self.source, &self.ready) {
            let mut portion = std::mem::take(&mut self.used);
            samples.next(&mut portion);
            self.ready = Some(portion);
        }
    }

    /// Where the keys of the next batch lie in `portion`; `None` at the end. A portion that is used up is replaced by the next:
    /// it must be the same vector in every call, as the last call left it.
    pub(super) fn batch(&mut self, portion: &mut Vec<u32>) -> Option<Range<usize>> {
        if self.at == self.len {
            match &mut self.source {
                Source::Here(samples) => match self.ready.take() {
                    Some(next) => self.used = std::mem::replace(portion, next),
                    None => samples.next(portion),
                },
                Source::Ahead { portions, used } => {
                    let next = portions.recv().unwrap_or_default();
                    // The thread may have ended already.
                    let _ = used.send(std::mem::replace(portion, next));
                }
            }
            (self.at, self.len) = (0, portion.len());
        }
        let end = self.len.min(self.at.saturating_add(self.batch_len));
        (self.at < end).then_some(self.at..end)
    }

    /// Goes on to the batch after the one that [`Feed::batch`] gives.
    pub(super) fn advance(&mut self) {
        self.at = self.len.min(self.at.saturating_add(self.batch_len));
    }
}

/// Gives the samples to a thread; keeps it where none can be started.
fn prepare_ahead(samples: Samples) -> Source {
    let (send, portions) = sync_channel(2);
    let (used, reusable) = channel();
    let place = std::sync::Arc::new(std::sync::Mutex::new(Some(samples)));
    let theirs = std::sync::Arc::clone(&place);
    let take = |place: &std::sync::Mutex<Option<Samples>>| place.lock().ok().and_then(|mut samples| samples.take());
    let started = std::thread::Builder::new().name("engine-feed".to_owned()).spawn(move || {
        let Some(mut samples) = take(&theirs) else { return };
        loop {
            let mut portion = reusable.try_recv().unwrap_or_default();
            samples.next(&mut portion);
            if portion.is_empty() || send.send(portion).is_err() {
                return;
            }
        }
    });
    match started {
        Ok(_) => Source::Ahead { portions, used },
        Err(_) => Source::Here(Box::new(take(&place).expect("no thread took it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_several_words_is_moved_as_one() {
        for per_sample in 1..=MOST_WORDS + 1 {
            let words = Words::Long((0..1000 * per_sample as u32).collect());
            let mut feed = Feed::new(Keys { words, per_sample }, &[epoch(Some(9))], 300, By::Demand);
            assert_eq!(
                matches!(&feed.source, Source::Here(samples) if samples.order.is_empty()),
                per_sample <= MOST_WORDS
            );
            let mut portion = Vec::new();
            for batch in TorchRng::new(9).randperm(1000).unwrap().chunks(300) {
                let range = feed.batch(&mut portion).unwrap();
                let words = |&i: &u32| i * per_sample as u32..(i + 1) * per_sample as u32;
                assert!(portion[range].iter().copied().eq(batch.iter().flat_map(words)), "{per_sample}");
                feed.advance();
            }
        }
    }

    fn epoch(shuffle: Option<u64>) -> Epoch {
        Epoch { shuffle, lr: 1e-3 }
    }

    #[test]
    fn every_epoch_is_shuffled_anew_and_a_sample_keeps_its_keys_together() {
        for (per_sample, by) in [(1, By::Demand), (3, By::Demand), (3, By::Steps), (1, By::Thread), (3, By::Thread)] {
            let samples = 1 << 17;
            for short in [false, true] {
                let words = (0..samples * per_sample).map(|i| i as u32 % 60_013);
                let words = match short {
                    true => Words::Short(words.map(|word| word as u16).collect()),
                    false => Words::Long(words.collect()),
                };
                let epochs = [Some(3), None, Some(4)].map(epoch);
                let mut feed = Feed::new(Keys { words, per_sample }, &epochs, 1000, by);
                let identity: Vec<u32> = (0..samples as u32).collect();
                let shuffled = |seed| TorchRng::new(seed).randperm(samples as u32).unwrap();
                let mut portion = Vec::new();
                for order in [shuffled(3), identity, shuffled(4)] {
                    for batch in order.chunks(1000) {
                        let range = feed.batch(&mut portion).unwrap();
                        let words =
                            |&i: &u32| (0..per_sample).map(move |k| (i as usize * per_sample + k) as u32 % 60_013);
                        assert!(portion[range].iter().copied().eq(batch.iter().flat_map(words)));
                        feed.advance();
                    }
                }
                assert_eq!(feed.batch(&mut portion), None);
            }
        }
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "there are no threads")]
    fn batches_are_the_same_whoever_shuffles() {
        let keys: Vec<u16> = (0..100_003u32).map(|i| (i * 7 % 60_013) as u16).collect();
        let order = TorchRng::new(5).randperm(keys.len() as u32).unwrap();
        let want: Vec<u32> = order.iter().map(|&i| keys[i as usize].into()).collect();
        let long = keys.iter().map(|&key| key.into()).collect();
        let short = || Keys { words: Words::Short(keys.clone()), per_sample: 1 };
        let long = Keys { words: Words::Long(long), per_sample: 1 };
        let all = [(short(), By::Demand), (short(), By::Steps), (short(), By::Thread), (long, By::Thread)];
        for (keys, by) in all {
            let mut feed = Feed::new(keys, &[epoch(Some(5))], 1000, by);
            assert_eq!(matches!(feed.source, Source::Ahead { .. }), by == By::Thread);
            let (mut got, mut portion) = (Vec::new(), Vec::new());
            loop {
                // Now and then nobody finds the time.
                if by == By::Steps && got.len() % 7000 != 0 {
                    feed.prepare();
                }
                let batch = feed.batch(&mut portion);
                assert_eq!(feed.batch(&mut portion), batch, "the same until it goes on");
                let Some(range) = batch else { break };
                assert_eq!(range.len(), (want.len() - got.len()).min(1000));
                got.extend_from_slice(&portion[range]);
                feed.advance();
            }
            assert!(got == want);
        }
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "there are no threads")]
    fn an_unfinished_thread_ends_with_its_feed() {
        let keys = Keys { words: Words::Long((0..1 << 20).collect()), per_sample: 1 };
        let mut feed = Feed::new(keys, &[epoch(None)], 100, By::Thread);
        let mut portion = Vec::new();
        let range = feed.batch(&mut portion).expect("there is a batch");
        assert_eq!(portion[range][..3], [0, 1, 2]);
        let Source::Ahead { used, .. } = &feed.source else { panic!("a thread prepares") };
        let used = used.clone();
        drop(feed);
        // Its end of the channel goes when it ends.
        while used.send(Vec::new()).is_ok() {
            std::thread::yield_now();
        }
    }
}
