//! The sum of a list of float32 as libtorch adds it up on x86-64 with AVX2 and later: which token is sampled can hang on its last bit.
//! (`ntgram-core/tests/laws_parity.rs` compares the two, bit for bit.)

/// Numbers in a vector of libtorch's kernel.
const LANES: usize = 8;
/// Vectors that are summed side by side.
const ROWS: usize = 4;
/// Levels of partial sums, so that no sum gets much larger than what is added to it.
const LEVELS: usize = 4;

fn add<const W: usize>(sum: &mut [f32; W], x: &[f32]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
}

/// `tensor.sum()` of a contiguous float32 tensor that one thread sums (fewer than 32,768 values).
pub(super) fn sum(values: &[f32]) -> f32 {
    if values.len() < LANES {
        let [total] = sum_of_vectors::<1>(values);
        return total;
    }
    let whole = values.len() / LANES * LANES;
    let mut total: f32 = values[whole..].iter().fold(0.0, |sum, x| sum + x);
    for lane in sum_of_vectors::<LANES>(&values[..whole]) {
        total += lane;
    }
    total
}

/// The sum of vectors of `W` numbers: `ROWS` vectors at a time, then those that are left, then the rows.
fn sum_of_vectors<const W: usize>(values: &[f32]) -> [f32; W] {
    let steps = values.len() / (ROWS * W);
    let (whole, rest) = values.split_at(steps * ROWS * W);
    let [mut sum, others @ ..] = cascade::<W>(whole, steps);
    rest.chunks_exact(W).for_each(|vector| add(&mut sum, vector));
    others.iter().for_each(|row| add(&mut sum, row));
    sum
}

/// Sums each of the rows, level by level.
fn cascade<const W: usize>(values: &[f32], steps: usize) -> [[f32; W]; ROWS] {
    let power = (steps.next_power_of_two().trailing_zeros() as usize / LEVELS).max(4);
    let step = 1 << power;
    let mut levels = [[[0.0; W]; ROWS]; LEVELS];
    for (k, block) in values.chunks_exact(ROWS * W).enumerate() {
        levels[0].iter_mut().zip(block.chunks_exact(W)).for_each(|(row, vector)| add(row, vector));
        let done = k + 1;
        if done % step == 0 {
            for level in 1..LEVELS {
                let below = std::mem::replace(&mut levels[level - 1], [[0.0; W]; ROWS]);
                levels[level].iter_mut().zip(&below).for_each(|(row, x)| add(row, x));
                if done >> (level * power) & (step - 1) != 0 {
                    break;
                }
            }
        }
    }
    let [mut rows, others @ ..] = levels;
    others.iter().for_each(|level| rows.iter_mut().zip(level).for_each(|(row, x)| add(row, x)));
    rows
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn small_lists_and_exact_sums() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[1.5]), 1.5);
        let ones = vec![1.0; 10_007];
        assert_eq!(sum(&ones), 10_007.0);
        let up: Vec<f32> = (0..1000).map(|k| k as f32).collect();
        assert_eq!(sum(&up), 499_500.0);
    }
}
