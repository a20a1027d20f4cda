//! The random stream, laws, sequences, and the errors themselves.

use std::path::Path;

use ntgram_core::error::check_index;
use ntgram_core::laws::{check_power_unif, check_prefix, prefix_tables};
use ntgram_core::prelude::*;

use super::calls::Calls;
use super::inputs::{HUGE, ODD, law, texts};

crate::groups! {
    "TorchRng::new, TorchRng::after_training, TorchRng::next_word, TorchRng::draw64, TorchRng::skip, TorchRng::random_i64" => words,
    "TorchRng::uniform, TorchRng::uniform_vec, TorchRng::exponential, TorchRng::randperm, TorchRng::randn" => draws,
    "TorchRng::multinomial_one, TorchRng::multinomial_with_replacement" => multinomials,
    "TorchRng as RandomTensor, RandomTensor::randn_tensor" => random_tensors,
    "Law::new" => tables,
    "Law::order, Law::n_vocab, Law::table, Law::last_table, Law::row, Law::support, Law::log_n_minus_entropy, entropy" => what_laws_say,
    "generate_each" => every_sequence,
    "Sequences::new, Sequences::tokens, Sequences::length, Sequences::head, Sequences::rows, Sequences::get, Sequences::iter" => sequences,
    "check_prefix, prefix_tables" => prefixes,
    "power_unif_law, check_power_unif" => power_unif,
    "first_position_law" => first_position,
    "last_position_law" => last_position,
    "gen_d_law" => directions,
    "almost_rank_d" => almost_rank,
    "Error::argument, Error::io, Error::file, Error::other, check_index" => errors,
}

fn rng() -> TorchRng {
    TorchRng::new(1)
}

/// Every row of every table is a distribution.
fn whole(law: &Law) -> bool {
    let n = law.n_vocab();
    let row = |row: &[f32]| {
        row.iter().all(|p| *p >= 0.0) && (row.iter().map(|p| f64::from(*p)).sum::<f64>() - 1.0).abs() < 1e-3
    };
    (0..law.order()).all(|i| law.table(i).unwrap().chunks_exact(n).all(row))
}

fn words(calls: &mut Calls) {
    for seed in [0, 1, u64::MAX, 1 << 32] {
        calls.right(format!("seed {seed}"), || {
            // only the low half counts
            let mut rng = TorchRng::new(seed);
            Ok(rng.next_word() == TorchRng::new(seed & u64::from(u32::MAX)).next_word() && rng.random_i64() >= 0)
        });
        calls.right(format!("after_training({seed})"), || {
            let mut drawn = TorchRng::new(seed);
            let _ = (drawn.draw64(), drawn.draw64());
            Ok(TorchRng::after_training(seed).draw64() == drawn.draw64())
        });
        calls.right(format!("skip({seed})"), || {
            // as often as not in two steps
            let (mut once, mut twice) = (rng(), rng());
            once.skip(seed);
            twice.skip(seed / 2);
            twice.skip(seed - seed / 2);
            Ok(once.draw64() == twice.draw64())
        });
    }
}

fn draws(calls: &mut Calls) {
    calls.right("none", || {
        let mut rng = rng();
        Ok(rng.uniform_vec(0, 0.0, 1.0)?.is_empty() && rng.randn(0)?.is_empty() && rng.randperm(0)?.is_empty())
    });
    calls.right("one", || {
        let mut rng = rng();
        Ok(rng.uniform_vec(1, 0.0, 1.0)?.len() == 1
            && rng.randn(1)?[0].is_finite()
            && rng.randperm(1)? == [0]
            && rng.exponential() > 0.0)
    });
    for len in HUGE {
        calls.refused(format!("uniform_vec({len})"), "len", || rng().uniform_vec(len, 0.0, 1.0));
        calls.refused(format!("randn({len})"), "len", || rng().randn(len));
    }
    for n in [u32::MAX, u32::MAX / 20] {
        calls.refused(format!("randperm({n})"), "n", || rng().randperm(n));
    }
    for a in ODD {
        for b in ODD {
            calls.either(format!("uniform_vec(3, {a}, {b})"), "a|b", || {
                let drawn = rng().uniform_vec(3, a, b)?;
                let single = rng().uniform(a, b);
                Ok(drawn.iter().all(|&x| (a as f32..=b as f32).contains(&x)) && single == drawn[0])
            });
        }
    }
}

fn multinomials(calls: &mut Calls) {
    let bad: [&[f32]; 6] = [&[], &[0.0], &[-1.0, 2.0], &[f32::NAN, 1.0], &[f32::INFINITY], &[f32::MAX, f32::MAX]];
    for weights in bad {
        calls.refused(format!("multinomial_one({weights:?})"), "weights", || rng().multinomial_one(weights));
        for m in [0, 1, 2] {
            calls.refused(format!("{m} of {weights:?}"), "weights", || rng().multinomial_with_replacement(weights, m));
        }
    }
    for m in HUGE {
        calls.refused(format!("{m} draws"), "m", || rng().multinomial_with_replacement(&[1.0, 1.0], m));
    }
    for weights in [&[f32::MIN_POSITIVE][..], &[1e-45, 0.0], &[f32::MAX, 0.0], &[1e38, 0.0, 0.0]] {
        calls.right(format!("the only one of {weights:?}"), || {
            Ok(rng().multinomial_one(weights)? == 0 && rng().multinomial_with_replacement(weights, 50)? == vec![0; 50])
        });
    }
    calls.right("0 draws", || Ok(rng().multinomial_with_replacement(&[1.0], 0)?.is_empty()));
}

fn random_tensors(calls: &mut Calls) {
    for size in [vec![], vec![0], vec![0, usize::MAX], vec![1], vec![3, 0, 2]] {
        calls.either(format!("{size:?}"), "size", || {
            let tensor = rng().randn_tensor(&size)?;
            Ok(tensor.size().iter().map(|&side| side as usize).eq(size.iter().copied()))
        });
    }
    for size in HUGE {
        calls.refused(format!("[{size}]"), "size", || rng().randn_tensor(&[size]));
        calls.refused(format!("[{size}, {size}]"), "size", || rng().randn_tensor(&[size, size]));
    }
    calls.refused("2^31 values and more", "size", || rng().randn_tensor(&[1 << 16, 1 << 16]));
}

fn tables(calls: &mut Calls) {
    for n_vocab in HUGE.into_iter().chain([0, (1 << 16) + 1]) {
        calls.refused(format!("N = {n_vocab}"), "n_vocab", || Law::new(n_vocab, vec![vec![1.0]]));
    }
    for table in [
        vec![],
        vec![0.5],
        vec![0.5, 0.5, 0.0],
        vec![2.0, -1.0],
        vec![f32::NAN, 1.0],
        vec![f32::INFINITY, 0.0],
        vec![1e-30, 1e-30],
    ] {
        calls.refused(format!("{table:?}"), "tables", || Law::new(2, vec![table.clone()]));
    }
    calls.refused("no table", "tables", || Law::new(2, vec![]));
    calls.refused("tables of one length", "tables", || Law::new(2, vec![vec![0.5; 2]; 80]));
    calls.right("one token, many tables", || Ok(Law::new(1, vec![vec![1.0]; 200])?.order() == 200));
    calls.right("the largest vocabulary", || {
        Ok(Law::new(1 << 16, vec![vec![1.0 / 65536.0; 1 << 16]])?.n_vocab() == 1 << 16)
    });
}

fn what_laws_say(calls: &mut Calls) {
    let pi = law(5, 3);
    calls.right("a table that is not there", || {
        Ok(HUGE.iter().chain(&[3]).all(|&i| pi.table(i).is_none())
            && pi.order() == 3
            && pi.n_vocab() == 5
            && pi.last_table().len() == 125)
    });
    for context in [&[5u16][..], &[0, u16::MAX], &[7; 1000]] {
        calls.refused(format!("row of {context:?}"), "context", || pi.row(context).map(<[f32]>::len));
        calls.refused(format!("support of {context:?}"), "context", || pi.support(context));
    }
    calls.right("contexts of any length", || {
        Ok(pi.row(&[])?.len() == 5 && pi.row(&[4; 100_000])? == pi.row(&[4, 4])? && !pi.support(&[0])?.is_empty())
    });
    let certain = Law::new(1, vec![vec![1.0]; 100]).unwrap();
    calls.right("a law without choice", || Ok(entropy(&certain) == 0.0 && certain.log_n_minus_entropy() == 0.0));
    let ends = Law::new(2, vec![vec![1.0 - 1e-8, 1e-40], vec![0.0, 1.0, f32::MIN_POSITIVE, 1.0]]).unwrap();
    calls.right("a law with tiny numbers", || Ok((0.0..1e-6).contains(&entropy(&ends))));
}

fn every_sequence(calls: &mut Calls) {
    let pi = law(4, 3);
    for eps in ODD {
        calls.either(format!("eps {eps}"), "eps", || {
            let each = generate_each(&pi, eps)?;
            let likely = |row: &[u16]| {
                (0..3).map(|t| f64::from(pi.row(&row[..t]).unwrap()[usize::from(row[t])])).product::<f64>() > eps
            };
            Ok(each.iter().all(likely) && (eps >= 1.0) == (each.rows() == 0))
        });
    }
    let many = Law::new(2, (1..26).map(|i| vec![0.5; 1 << i]).collect()).unwrap();
    calls.right("2^25 sequences, none likely enough", || Ok(generate_each(&many, 1e-7)?.rows() == 0));
    let wide = Law::new(1 << 13, vec![vec![1.0 / 8192.0; 1 << 13], vec![1.0 / 8192.0; 1 << 26]]).unwrap();
    calls.refused("2^26 sequences", "eps", || generate_each(&wide, 0.0));
}

fn sequences(calls: &mut Calls) {
    calls.refused("length 0", "length", || Sequences::new(vec![1, 2], 0));
    for length in HUGE {
        calls.refused(format!("length {length}"), "tokens|length", || Sequences::new(vec![1, 2], length));
        calls.either(format!("none of length {length}"), "length", || {
            let none = Sequences::new(vec![], length)?;
            Ok(none.rows() == 0
                && none.length() == length
                && none.get(0).is_none()
                && none.head(length).rows() == 0
                && none.iter().count() == 0)
        });
    }
    let three = Sequences::new(vec![1, 2, u16::MAX], 1).unwrap();
    for i in HUGE {
        calls.right(format!("sequence {i}"), || {
            Ok(three.get(i).is_none() && three.head(i) == three && three.tokens().len() == 3)
        });
    }
    calls.right("the last", || {
        Ok(three.get(2) == Some(&[u16::MAX][..]) && three.get(3).is_none() && three.head(0).rows() == 0)
    });
}

/// Counts and vocabularies that no law has, with the arguments to blame.
fn bad_counts() -> Vec<(Vec<usize>, usize, &'static str)> {
    let mut bad = vec![
        (vec![0], 3, "nb_tokens"),
        (vec![4], 3, "nb_tokens"),
        (vec![1, 1, 0], 3, "nb_tokens"),
        (vec![1; 100], 10, "nb_tokens"),
        (vec![1; 4], 1 << 16, "nb_tokens"),
        (vec![], 0, "n_vocab"),
    ];
    for huge in HUGE {
        bad.push((vec![1], huge, "n_vocab"));
        bad.push((vec![huge], 3, "nb_tokens"));
    }
    bad
}

fn prefixes(calls: &mut Calls) {
    for (counts, n_vocab, blamed) in bad_counts() {
        let what = format!("{} counts, N = {n_vocab}", counts.len());
        calls.refused(&what, blamed, || check_prefix(&counts, n_vocab, 1));
        calls.refused(&what, blamed, || prefix_tables(&counts, n_vocab, 1, &mut rng()));
    }
    for further in HUGE {
        calls.refused(format!("{further} tables more"), "nb_tokens", || check_prefix(&[1], 3, further));
        calls.either(format!("{further} tables more of one token"), "nb_tokens", || {
            check_prefix(&[1], 1, further).map(|()| true)
        });
    }
    calls
        .right("no counts", || Ok(check_prefix(&[], 3, 0).is_ok() && prefix_tables(&[], 3, 0, &mut rng())?.is_empty()));
}

fn power_unif(calls: &mut Calls) {
    for (counts, n_vocab, blamed) in bad_counts() {
        let names = if counts.is_empty() { "n_vocab|alphas" } else { blamed };
        calls.refused(format!("{} counts, N = {n_vocab}", counts.len()), names, || {
            power_unif_law(&vec![1.0; counts.len()], &counts, n_vocab, &mut rng())
        });
    }
    for (counts, n_vocab, blamed) in bad_counts() {
        let names = if counts.is_empty() { "n_vocab|alphas" } else { blamed };
        calls.refused(format!("check of {} counts, N = {n_vocab}", counts.len()), names, || {
            check_power_unif(&vec![1.0; counts.len()], &counts, n_vocab)
        });
    }
    for alpha in ODD {
        calls.right(format!("check of alpha {alpha} and the law agree"), || {
            let (alphas, counts) = ([alpha, 1.0], [3, 3]);
            Ok(check_power_unif(&alphas, &counts, 3).is_ok() == power_unif_law(&alphas, &counts, 3, &mut rng()).is_ok())
        });
        calls.either(format!("alpha {alpha}"), "alphas", || {
            Ok(whole(&power_unif_law(&[alpha, 1.0], &[3, 3], 3, &mut rng())?))
        });
    }
    for alphas in [&[][..], &[1.0], &[1.0; 3]] {
        calls.refused(format!("{} alphas for 2 counts", alphas.len()), "alphas", || {
            power_unif_law(alphas, &[2, 2], 3, &mut rng())
        });
    }
    calls.right("one token", || Ok(power_unif_law(&[0.3; 50], &[1; 50], 1, &mut rng())?.last_table() == [1.0]));
}

fn first_position(calls: &mut Calls) {
    for (counts, n_vocab, blamed) in bad_counts() {
        calls.refused(format!("{} counts, N = {n_vocab}", counts.len()), blamed, || {
            first_position_law(&counts, n_vocab, 1, 1.0, &mut rng())
        });
    }
    for d in HUGE.into_iter().chain([0, 4]) {
        calls.refused(format!("d = {d}"), "d", || first_position_law(&[2], 3, d, 1.0, &mut rng()));
    }
    for importance in ODD.into_iter().chain([1e20, 1e30]) {
        calls.either(format!("feature_importance {importance}"), "feature_importance", || {
            Ok(whole(&first_position_law(&[2], 3, 3, importance, &mut rng())?))
        });
    }
    calls.right("no context", || Ok(first_position_law(&[], 1 << 16, 7, 1.0, &mut rng())?.order() == 1));
}

fn last_position(calls: &mut Calls) {
    for (counts, n_vocab, blamed) in bad_counts() {
        calls.refused(format!("{} counts, N = {n_vocab}", counts.len()), blamed, || {
            last_position_law(&counts, n_vocab, 0.0, 0.5, &mut rng())
        });
    }
    calls.refused("one token", "n_vocab", || last_position_law(&[1], 1, 0.0, 0.5, &mut rng()));
    for x in ODD {
        calls.either(format!("p = {x}"), "p", || {
            let law = last_position_law(&[3], 4, 0.0, x, &mut rng())?;
            Ok(whole(&law) && (0.0..=1.0).contains(&x))
        });
        calls.either(format!("k = {x}"), "k", || Ok(whole(&last_position_law(&[3], 4, x, 0.5, &mut rng())?)));
    }
    calls.right("no context", || Ok(last_position_law(&[], 1 << 16, 1.0, 1.0, &mut rng())?.order() == 1));
}

fn directions(calls: &mut Calls) {
    let make = |counts: &[usize], n: usize, d: usize, options: DirectionsOptions| {
        gen_d_law(counts, n, d, &options, &mut rng())
    };
    let aligned = DirectionsOptions { axis_aligned: true, ..Default::default() };
    for options in [DirectionsOptions::default(), aligned] {
        for (counts, n_vocab, blamed) in bad_counts() {
            calls.refused(format!("{} counts, N = {n_vocab}", counts.len()), blamed, || {
                make(&counts, n_vocab, 1, options)
            });
        }
        for d in HUGE.into_iter().chain([0, 4]) {
            calls.refused(format!("d = {d}"), "d", || make(&[2], 3, d, options));
        }
        for x in ODD.into_iter().chain([1e20, -1e30]) {
            calls.either(format!("feature_importance {x}"), "feature_importance|flat_coef", || {
                let (law, w) = make(&[2], 3, 2, DirectionsOptions { feature_importance: x, ..options })?;
                Ok(whole(&law) && w.size() == [3, 2])
            });
            calls.either(format!("flat_coef {x}"), "flat_coef", || {
                Ok(whole(&make(&[2], 3, 2, DirectionsOptions { flat_coef: x, ..options })?.0))
            });
        }
        calls.either("65536 tokens, no context", "n_vocab", || {
            Ok(make(&[], 1 << 16, 1, options)?.1.size() == [1 << 16, 1])
        });
        calls.either("65536 tokens and directions", "n_vocab", || {
            Ok(make(&[], 1 << 16, 1 << 16, options)?.0.order() == 1)
        });
    }
}

fn almost_rank(calls: &mut Calls) {
    let make = |counts: &[usize], n: usize, d: usize, options: AlmostRankOptions| {
        almost_rank_d(counts, n, d, &options, &mut rng())
    };
    let aligned = AlmostRankOptions { axis_aligned: true, ..Default::default() };
    for options in [AlmostRankOptions::default(), aligned] {
        for (counts, n_vocab, blamed) in bad_counts() {
            calls.refused(format!("{} counts, N = {n_vocab}", counts.len()), blamed, || {
                make(&counts, n_vocab, 1, options)
            });
        }
        calls.refused("no context", "nb_tokens", || make(&[], 3, 1, options));
        for d in HUGE.into_iter().chain([0, 4]) {
            calls.refused(format!("d = {d}"), "d", || make(&[2], 3, d, options));
        }
        for x in ODD.into_iter().chain([1e20, -1e30]) {
            calls.either(format!("eig_high {x}"), "eig_high", || {
                Ok(whole(&make(&[2], 3, 2, AlmostRankOptions { eig_high: x, ..options })?))
            });
            calls.either(format!("eig_low {x}"), "eig_low", || {
                Ok(whole(&make(&[2], 3, 2, AlmostRankOptions { eig_low: x, ..options })?))
            });
        }
        for n in [6000, 20_000] {
            calls.refused(format!("{n} contexts and tokens"), "n_vocab|nb_tokens|axis_aligned", || {
                make(&[1], n, 1, options)
            });
        }
        calls.right("one token", || Ok(make(&[1, 1, 1], 1, 1, options)?.last_table() == [1.0]));
    }
}

fn errors(calls: &mut Calls) {
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("{what:?}"), || {
            let argument = Error::argument("name", &text, text.clone()).to_string();
            let file = Error::file(Path::new("f"), "file", &text).to_string();
            assert!(file.starts_with("f is not a usable file") && file.len() < 5000 && !file.contains('\n'), "{file}");
            let io = Error::io("read", Path::new(&text), std::io::Error::other("why"));
            Ok(argument.starts_with("`name` is ")
                && io.to_string().starts_with("cannot read ")
                && Error::other(text.clone()).to_string() == text)
        });
    }
    for value in HUGE {
        calls.right(format!("index {value}"), || Ok(check_index("index", value - 1, value).is_ok()));
        calls.refused(format!("index {value} of so many"), "index", || check_index("index", value, value));
        calls.refused(format!("index {value} of none"), "index", || check_index("index", value, 0));
    }
}
