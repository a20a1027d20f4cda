//! The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), a block of 624 words at a time. The loops
//! are written so that the compiler vectorises them.

/// Words of state.
pub(crate) const STATE: usize = 624;
/// Distance of the recurrence's third term.
pub(crate) const MIDDLE: usize = 397;
const UPPER: u32 = 0x8000_0000;
const LOWER: u32 = 0x7fff_ffff;
pub(crate) const TWIST: u32 = 0x9908_b0df;

/// The output function of the generator.
#[inline(always)]
pub(crate) fn temper(mut y: u32) -> u32 {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^ (y >> 18)
}

/// `A` applied to the upper bit of `a` and the lower bits of `b`.
#[inline(always)]
fn twist(a: u32, b: u32) -> u32 {
    let y = (a & UPPER) | (b & LOWER);
    (y >> 1) ^ ((y & 1).wrapping_neg() & TWIST)
}

/// State and position in it. The state holds the raw words of the current block; `next` counts those already given out.
#[derive(Clone)]
pub(crate) struct Mt19937 {
    pub(crate) state: [u32; STATE],
    pub(crate) next: usize,
}

impl Mt19937 {
    /// The classic single-word initialisation (`init_genrand`).
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; STATE];
        for i in 1..STATE {
            let last = state[i - 1];
            state[i] = (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, next: STATE }
    }

    /// Replaces the state by the next block of raw words.
    #[inline]
    pub(crate) fn advance_block(&mut self) {
        let s = &mut self.state;
        for i in 0..STATE - MIDDLE {
            s[i] = s[i + MIDDLE] ^ twist(s[i], s[i + 1]);
        }
        for i in STATE - MIDDLE..STATE - 1 {
            s[i] = s[i + MIDDLE - STATE] ^ twist(s[i], s[i + 1]);
        }
        s[STATE - 1] = s[MIDDLE - 1] ^ twist(s[STATE - 1], s[0]);
        self.next = 0;
    }

    /// The next output word.
    #[inline]
    pub(crate) fn next_word(&mut self) -> u32 {
        if self.next == STATE {
            self.advance_block();
        }
        let word = temper(self.state[self.next]);
        self.next += 1;
        word
    }

    /// Passes over `words` words, block by block.
    pub(crate) fn step(&mut self, words: u64) {
        let mut left = words;
        while left > (STATE - self.next) as u64 {
            left -= (STATE - self.next) as u64;
            self.advance_block();
        }
        self.next += left as usize;
    }

    /// Fills `out` with the next raw words, still to be tempered.
    pub(crate) fn fill_raw(&mut self, mut out: &mut [u32]) {
        while !out.is_empty() {
            if self.next == STATE {
                self.advance_block();
            }
            let count = out.len().min(STATE - self.next);
            let (now, later) = out.split_at_mut(count);
            now.copy_from_slice(&self.state[self.next..self.next + count]);
            self.next += count;
            out = later;
        }
    }
}
