//! Jumping ahead in the Mersenne Twister: the words `J` places further on are a fixed XOR of the next 19 937 words and their
//! successors, chosen by the polynomial `x^J mod φ`, where `φ` is the characteristic polynomial of the recurrence (Haramoto,
//! Matsumoto, Nishimura, Panneton and L'Ecuyer, 2008). `φ` has few terms, so squaring modulo `φ` is cheap.

use super::mt19937::{MIDDLE, Mt19937, STATE, TWIST};

/// Degree of `φ`.
const DEGREE: usize = 19_937;
/// 64-bit words of a polynomial of degree below `φ`'s.
const WORDS: usize = DEGREE.div_ceil(64);

/// Polynomial over GF(2): bit `i` of the string of words is the coefficient of `x^i`.
type Polynomial = Vec<u64>;

fn flip(polynomial: &mut [u64], bit: usize) {
    polynomial[bit / 64] ^= 1 << (bit % 64);
}

/// XORs the 64 coefficients `bits` into those from `x^position` on.
#[inline]
fn add_at(polynomial: &mut [u64], position: usize, bits: u64) {
    let (word, shift) = (position / 64, position % 64);
    polynomial[word] ^= bits << shift;
    if shift > 0 {
        polynomial[word + 1] ^= bits >> (64 - shift);
    }
}

/// Exponents of `φ` below its degree (Matsumoto and Nishimura, 1998, appendix A, with `w = 32`, `r = 31`):
/// `φ = s t^31 + Σ_{i<31} a_i s t^(30−i) + a_31`, where `s = x^624 + x^397`, `t = x^623 + x^396` and `a_i` are the bits of the twist.
fn lower_terms() -> Vec<usize> {
    let mut phi = vec![0u64; WORDS + 1];
    let mut add_power = |power: usize| {
        // t^power: its binomial coefficients are odd where the bits of j lie inside those of the power
        for j in (0..=power).filter(|j| j & !power == 0) {
            let exponent = (STATE - 1) * (power - j) + (MIDDLE - 1) * j;
            flip(&mut phi, exponent + STATE);
            flip(&mut phi, exponent + MIDDLE);
        }
    };
    add_power(31);
    for i in (0..31).filter(|i| TWIST >> i & 1 == 1) {
        add_power(30 - i);
    }
    flip(&mut phi, 0); // a_31 = 1
    (0..DEGREE).filter(|i| phi[i / 64] >> (i % 64) & 1 == 1).collect()
}

/// `p² mod φ`.
fn square(p: &[u64], lower_terms: &[usize]) -> Polynomial {
    // Squaring over GF(2) puts a zero after every coefficient.
    let spread = |half: u32| {
        let mut x = u64::from(half);
        for (shift, mask) in [
            (16, 0x0000_ffff_0000_ffff),
            (8, 0x00ff_00ff_00ff_00ff),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
            (2, 0x3333_3333_3333_3333),
            (1, 0x5555_5555_5555_5555),
        ] {
            x = (x | x << shift) & mask;
        }
        x
    };
    let mut wide: Polynomial = p.iter().flat_map(|w| [spread(*w as u32), spread((*w >> 32) as u32)]).collect();
    wide.push(0);
    // x^(DEGREE + k) = Σ x^(term + k), from the top; the highest term is 227 below the degree, so 64 at a time.
    for k in (0..DEGREE).step_by(64).rev() {
        let (word, shift) = ((DEGREE + k) / 64, (DEGREE + k) % 64);
        let bits = wide[word] >> shift | wide[word + 1] << 1 << (63 - shift);
        add_at(&mut wide, DEGREE + k, bits);
        for term in lower_terms {
            add_at(&mut wide, term + k, bits);
        }
    }
    wide.truncate(WORDS);
    wide
}

/// `x^exponent mod φ`.
fn power_of_x(exponent: u64) -> Polynomial {
    let terms = lower_terms();
    let mut p = vec![0; WORDS];
    p[0] = 1;
    for bit in (0..64 - exponent.leading_zeros()).rev() {
        p = square(&p, &terms);
        if exponent >> bit & 1 == 1 {
            let mut carry = 0;
            for word in &mut p {
                (*word, carry) = (*word << 1 | carry, *word >> 63);
            }
            if p[DEGREE / 64] >> (DEGREE % 64) & 1 == 1 {
                flip(&mut p, DEGREE);
                terms.iter().for_each(|term| flip(&mut p, *term));
            }
        }
    }
    p
}

/// Passes over `words` words.
pub(super) fn jump(generator: &mut Mt19937, words: u64) {
    let mut sequence = vec![0; DEGREE + STATE];
    generator.fill_raw(&mut sequence);
    let coefficients = power_of_x(words);
    let mut state = [0; STATE];
    for i in (0..DEGREE).filter(|i| coefficients[i / 64] >> (i % 64) & 1 == 1) {
        for (sum, word) in state.iter_mut().zip(&sequence[i..i + STATE]) {
            *sum ^= word;
        }
    }
    *generator = Mt19937 { state, next: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_has_its_135_terms() {
        let terms = lower_terms();
        assert_eq!(terms.len() + 1, 135);
        assert!(DEGREE - terms[terms.len() - 1] >= 64, "square reduces 64 coefficients at a time");
    }

    #[test]
    fn jumping_is_stepping() {
        // distances around the degree, the state and a power of two, from positions inside and at the end of a block
        for (start, words) in [
            (0, 0),
            (0, 1),
            (1, 623),
            (5, 624),
            (624, 19_936),
            (7, 19_937),
            (100, 19_938),
            (3, 65_536),
            (1000, 1_234_567),
        ] {
            let mut stepped = Mt19937::new(4357);
            stepped.step(start);
            let mut jumped = stepped.clone();
            stepped.step(words);
            jump(&mut jumped, words);
            for i in 0..2 * STATE {
                assert_eq!(jumped.next_word(), stepped.next_word(), "word {i} after {words} from {start}");
            }
        }
    }
}
