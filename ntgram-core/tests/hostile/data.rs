//! Data, files, snapshots' names, statistics, tensors' values.

use std::path::Path;

use ntgram_core::files::write_whole;
use ntgram_core::prelude::*;

use super::calls::Calls;
use super::inputs::{HUGE, ODD, law, tensors, unwritable};

crate::groups! {
    "generate_data, sample_data" => drawn,
    "Data::from_sequences" => own_sequences,
    "Data::check_sizes" => sizes,
    "Data::law, Data::head, Data::tokens, Data::sequences, Data::context_window, Data::batch_size, Data::num_batch, Data::n_vocab, Data::rows, Data::sequence, Data::column_sums" => what_data_says,
    "Data::shuffle, Data::next_shuffle, Data::batches, Batches::fill" => batches,
    "write_whole" => whole_files,
    "mean, least, most, standard_error" => statistics,
    "line_fit, line_fit_weighted, power_law_fit, power_law_fit_weighted" => fits,
    "LineFit::predict, LineFit::error_at, LineFit::slope_interval, LineFit::intercept_interval, LineFit::interval_at, LineFit::band" => lines,
    "PowerLawFit::predict, PowerLawFit::exponent_interval, PowerLawFit::coefficient_interval, PowerLawFit::interval_at, PowerLawFit::band" => power_laws,
    "values" => values_of_tensors,
    "ToTensor::to_tensor, Sequences as ToTensor, Data as ToTensor, Law as ToTensor" => tensors_of_values,
    "interrupted" => the_stop_button,
}

fn data() -> Data {
    generate_data(3, 2, &law(5, 3), 4, &mut TorchRng::new(1)).unwrap()
}

fn drawn(calls: &mut Calls) {
    let pi = law(5, 3);
    let names = "batch_size|num_batch|context_window|batch_size * num_batch";
    type Draw = fn(usize, usize, &Law, usize) -> Result<Data>;
    let ways: [(&str, Draw); 2] = [
        ("generate_data", |b, n, law, t| generate_data(b, n, law, t, &mut TorchRng::new(1))),
        ("sample_data", |b, n, law, t| sample_data(b, n, law, t, &mut TorchRng::new(1))),
    ];
    for (name, draw) in ways {
        for bad in HUGE.into_iter().chain([0]) {
            calls.refused(format!("{name}({bad}, 1)"), names, || draw(bad, 1, &pi, 3));
            calls.refused(format!("{name}(1, {bad})"), names, || draw(1, bad, &pi, 3));
            calls.refused(format!("{name}({bad}, {bad})"), names, || draw(bad, bad, &pi, 3));
            calls.refused(format!("{name} of {bad} tokens"), names, || draw(1, 1, &pi, bad));
        }
        calls.refused(format!("{name} of 2 tokens"), "context_window", || draw(1, 1, &pi, 2));
        calls.right(format!("{name}: one sequence"), || Ok(draw(1, 1, &pi, 3)?.rows() == 1));
        let certain = Law::new(1, vec![vec![1.0]; 9]).unwrap();
        calls.right(format!("{name}: one token"), || Ok(draw(2, 3, &certain, 50)?.tokens() == [0; 300]));
        let tiny = Law::new(3, vec![vec![f32::MIN_POSITIVE, 1.0, 0.0]]).unwrap();
        calls.right(format!("{name}: tiny probabilities"), || {
            Ok(draw(10, 10, &tiny, 1)?.tokens().iter().all(|&t| t < 2))
        });
        calls.right(format!("{name}: a long window"), || Ok(draw(1, 1, &pi, 100_000)?.context_window() == 100_000));
    }
}

fn own_sequences(calls: &mut Calls) {
    let pi = law(5, 3);
    let make = |tokens: Vec<u16>, length: usize, batch: usize| {
        Data::from_sequences(Sequences::new(tokens, length)?, batch, &pi)
    };
    calls.refused("batches of 0", "batch_size", || make(vec![0; 6], 3, 0));
    for batch in HUGE {
        calls.refused(format!("batches of {batch}"), "sequences", || make(vec![0; 6], 3, batch));
        calls.refused(format!("no sequences of {batch}"), "sequences|context_window|length", || make(vec![], batch, 1));
    }
    calls.refused("short sequences", "context_window|sequences", || make(vec![0; 6], 2, 1));
    calls.refused("tokens of no vocabulary", "sequences", || make(vec![0, 1, 5], 3, 1));
    calls.refused("tokens far from it", "sequences", || make(vec![u16::MAX; 3], 3, 1));
    calls.right("one sequence", || Ok(make(vec![4; 3], 3, 1)?.num_batch() == 1));
}

fn what_data_says(calls: &mut Calls) {
    let data = data();
    for i in HUGE.into_iter().chain([6]) {
        calls.right(format!("sequence {i}"), || Ok(data.sequence(i).is_none() && data.head(i).rows() == 6));
    }
    calls.right("sizes", || {
        let sizes = (
            data.batch_size(),
            data.num_batch(),
            data.context_window(),
            data.rows(),
            data.n_vocab(),
            data.law().order(),
        );
        let sums: Vec<u64> = (0..4).map(|t| data.sequences().iter().map(|row| u64::from(row[t])).sum()).collect();
        Ok(sizes == (3, 2, 4, 6, 5, 3)
            && data.tokens().len() == 24
            && data.column_sums() == sums
            && data.head(0).rows() == 0)
    });
}

fn batches(calls: &mut Calls) {
    let data = data();
    for seed in [0, u64::MAX, 1 << 32] {
        calls.right(format!("seed {seed}"), || {
            let mut order = data.shuffle(seed);
            order.sort_unstable();
            let visited: usize = data.batches(seed).map(|batch| batch.len()).sum();
            Ok(order == [0, 1, 2, 3, 4, 5] && visited == 24)
        });
        for k in HUGE.into_iter().chain([2]) {
            calls.right(format!("batch {k}"), || {
                let mut batch = vec![9; 5];
                Ok(!data.batches(seed).fill(k, &mut batch) && batch.is_empty())
            });
        }
    }
    calls.right("a stream that runs on", || {
        let mut rng = TorchRng::new(u64::MAX);
        let lists: Vec<_> = (0..1000).map(|_| data.next_shuffle(&mut rng)).collect();
        let all = |list: &Vec<u32>| (0..6).all(|row| list.contains(&row)) && list.len() == 6;
        let mut later = TorchRng::new(u64::MAX);
        later.skip(4 * 1000);
        Ok(lists[0] == data.shuffle(u64::MAX) && lists.iter().all(all) && rng.next_word() == later.next_word())
    });
    calls.right("an iterator beyond its end", || {
        let mut batches = data.batches(0);
        (0..5).for_each(|_| drop(batches.next()));
        Ok(batches.next().is_none() && batches.len() == 0)
    });
}

fn whole_files(calls: &mut Calls) {
    for path in unwritable() {
        calls.refused(format!("{path:?}"), "path", || write_whole(Path::new(&path), b"x"));
    }
    for path in ["new", "a/b/c", "🦀 数据/é \"'.txt", "./x", " ", "-rf"] {
        calls.right(format!("{path:?}"), || {
            write_whole(Path::new(path), b"")?;
            write_whole(Path::new(path), &[7; 100_000])?;
            Ok(std::fs::read(path).unwrap() == [7; 100_000])
        });
    }
}

fn sizes(calls: &mut Calls) {
    for size in HUGE.into_iter().chain([0]) {
        calls.either(format!("{size} sequences a batch"), "batch_size|batch_size * num_batch", || {
            Data::check_sizes((size, 2), 3, 3).map(|()| size > 0 && size < 1 << 40)
        });
        calls.either(format!("{size} batches"), "num_batch|batch_size * num_batch", || {
            Data::check_sizes((2, size), 3, 3).map(|()| size > 0 && size < 1 << 40)
        });
        calls.either(format!("windows of {size}"), "context_window", || {
            Data::check_sizes((2, 2), size, 3).map(|()| size >= 3)
        });
    }
}

fn statistics(calls: &mut Calls) {
    for list in [vec![], vec![f64::NAN], vec![1.0, f64::NAN]] {
        calls.right(format!("{list:?}"), || Ok(mean(&list).is_nan() && least(&list).is_nan() && most(&list).is_nan()));
        calls.right(format!("standard error of {list:?}"), || Ok(standard_error(&list).is_nan()));
    }
    calls.right("standard errors of any size", || {
        let of = |a: f64, b: f64| standard_error(&[a, b]);
        let ends = of(f64::MAX, f64::MIN) / f64::MAX;
        Ok((ends - 1.0).abs() < 1e-12 && of(0.0, 1e-323) == 5e-324 && of(1.0, f64::INFINITY).is_nan())
    });
    calls.right("infinities", || {
        let list = [f64::INFINITY, f64::NEG_INFINITY, 0.0];
        Ok(mean(&list).is_nan() && least(&list) == f64::NEG_INFINITY && most(&list) == f64::INFINITY)
    });
    calls.right("the largest numbers", || {
        Ok((mean(&[f64::MAX; 4]) / f64::MAX - 1.0).abs() < 1e-9 && most(&[f64::MIN, f64::MAX]) == f64::MAX)
    });
    calls.right("odd ones", || Ok(most(&ODD[3..]) == f64::MAX && least(&ODD[3..]) == f64::MIN));
}

/// Lists of three numbers and more, most of them without a line.
fn triples() -> Vec<Vec<f64>> {
    let mut lists = vec![vec![], vec![1.0, 2.0], vec![0.0; 3], vec![1.0, 2.0, 3.0], vec![1.0, 1.0 + f64::EPSILON, 1.0]];
    lists.extend([
        vec![f64::MAX, f64::MIN, 0.0],
        vec![5e-324, 1e-323, 0.0],
        vec![1e300, 2e300, 4e300],
        vec![1e-300; 3],
    ]);
    lists.extend(ODD.map(|odd| vec![1.0, odd, 2.0]));
    lists.push(ODD[3..].to_vec());
    lists
}

/// A fit's numbers are numbers, and its line goes through the points' mean.
fn fitted(fit: &LineFit, xs: &[f64], ys: &[f64]) -> bool {
    let numbers = [fit.slope, fit.slope_error, fit.intercept, fit.intercept_error, fit.y_mean_error];
    let between = |x: f64, list: &[f64]| {
        let slack = 1e-15 * most(&list.iter().map(|x| x.abs()).collect::<Vec<_>>());
        least(list) - slack <= x && x <= most(list) + slack
    };
    numbers.iter().all(|x| x.is_finite())
        && fit.slope_error >= 0.0
        && between(fit.x_mean, xs)
        && between(fit.y_mean, ys)
        && fit.degrees_of_freedom == xs.len() - 2
        && !fit.to_string().contains('\n')
}

fn fits(calls: &mut Calls) {
    for xs in triples() {
        for ys in triples() {
            let what = format!("{xs:?}, {ys:?}");
            calls.either(format!("line_fit: {what}"), "xs|ys", || Ok(fitted(&line_fit(&xs, &ys)?, &xs, &ys)));
            calls.either(format!("line_fit_weighted: {what}"), "xs|ys|errors", || {
                Ok(fitted(&line_fit_weighted(&xs, &ys, &ys)?, &xs, &ys))
            });
            calls.either(format!("power_law_fit: {what}"), "xs|ys", || {
                let fit = power_law_fit(&xs, &ys)?;
                Ok(fit.coefficient > 0.0 && fit.coefficient.is_finite() && fit.exponent == fit.line.slope)
            });
            calls.either(format!("power_law_fit_weighted: {what}"), "xs|ys|errors", || {
                let fit = power_law_fit_weighted(&xs, &ys, &xs)?;
                Ok(fit.coefficient > 0.0 && fit.coefficient.is_finite() && fit.exponent == fit.line.slope)
            });
        }
    }
    let (xs, ys) = ([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 6.0]);
    for odd in ODD {
        let errors = [0.1, odd, 0.2, 0.3];
        calls.either(format!("an error of {odd}"), "errors", || {
            let fit = line_fit_weighted(&xs, &ys, &errors)?;
            Ok(odd > 0.0 && fitted(&fit, &xs, &ys))
        });
        calls.either(format!("an error of {odd}, of a power law"), "errors", || {
            let fit = power_law_fit_weighted(&xs, &ys, &errors)?;
            Ok(odd > 0.0 && fit.line.chi_squared.is_some())
        });
    }
    for count in [0, 3, 5] {
        let errors = vec![1.0; count];
        calls.refused(format!("{count} errors"), "errors", || line_fit_weighted(&xs, &ys, &errors));
        calls.refused(format!("{count} errors of a power law"), "errors", || power_law_fit_weighted(&xs, &ys, &errors));
    }
    calls.refused("one point with all the weight", "errors", || line_fit_weighted(&xs, &ys, &[1e-300, 1.0, 1.0, 1.0]));
    calls.right("100,000 points", || {
        let xs: Vec<f64> = (0..100_000).map(f64::from).collect();
        let ys: Vec<f64> = xs.iter().map(|x| 2.0 * x + x.sin()).collect();
        Ok((line_fit(&xs, &ys)?.slope - 2.0).abs() < 1e-8)
    });
}

/// Whether two ends are in order, or there is no number.
fn in_order((low, high): (f64, f64)) -> bool {
    low <= high || low.is_nan() || high.is_nan()
}

fn lines(calls: &mut Calls) {
    let (xs, ys) = ([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 6.0]);
    for fit in [line_fit(&xs, &ys).unwrap(), line_fit_weighted(&xs, &ys, &[0.1; 4]).unwrap()] {
        for odd in ODD {
            calls.right(format!("predict {odd}"), || {
                Ok(fit.predict(odd).is_nan() == odd.is_nan() && (fit.error_at(odd) >= 0.0 || odd.is_nan()))
            });
            calls.either(format!("level {odd}"), "level", || {
                let (low, high) = fit.slope_interval(odd)?;
                Ok(0.0 < odd && odd < 1.0 && low <= fit.slope && fit.slope <= high)
            });
            calls.right(format!("interval_at {odd}"), || Ok(in_order(fit.interval_at(odd, 0.95)?)));
            for to in ODD {
                calls.either(format!("a band from {odd} to {to}"), "from", || {
                    let band = fit.band(odd, to, 0.95)?;
                    Ok(band.xs.len() == band.ys.len() && band.low.iter().zip(&band.high).all(|ends| ends.0 <= ends.1))
                });
            }
        }
        for level in [5e-324, 1e-9, 0.5, 1.0 - f64::EPSILON / 2.0] {
            calls.right(format!("level {level}"), || {
                let ends = [fit.slope_interval(level)?, fit.intercept_interval(level)?, fit.interval_at(2.0, level)?];
                Ok(ends.into_iter().all(|(low, high)| low <= high && (high - low).is_finite()))
            });
        }
    }
    calls.refused("a fit with no freedom left", "degrees_of_freedom", || {
        LineFit { degrees_of_freedom: 0, ..line_fit(&xs, &ys)? }.slope_interval(0.95)
    });
}

fn power_laws(calls: &mut Calls) {
    let fit = power_law_fit(&[1.0, 2.0, 3.0, 4.0], &[2.0, 3.0, 4.0, 6.0]).unwrap();
    for odd in ODD {
        calls.right(format!("predict {odd}"), || Ok(fit.predict(odd).is_nan() == (odd.is_nan() || odd < 0.0)));
        calls.right(format!("interval_at {odd}"), || Ok(in_order(fit.interval_at(odd, 0.95)?)));
        for to in ODD {
            calls.either(format!("a band from {odd} to {to}"), "from", || {
                let band = fit.band(odd, to, 0.95)?;
                Ok(odd > 0.0 && band.low.iter().zip(&band.high).all(|ends| ends.0 <= ends.1))
            });
        }
    }
    for level in [f64::NAN, 0.0, 1.0, -0.5, 95.0] {
        calls.refused(format!("level {level}"), "level", || fit.exponent_interval(level));
        calls.refused(format!("level {level} of the coefficient"), "level", || fit.coefficient_interval(level));
        calls.refused(format!("level {level} of a band"), "level", || fit.band(1.0, 2.0, level));
    }
}

fn values_of_tensors(calls: &mut Calls) {
    for (name, tensor) in tensors() {
        calls.either(&name, "tensor", || {
            let list = values(&tensor)?;
            let size: i64 = tensor.size().iter().product();
            // the last entry is the last: whatever the layout
            let last = list.last().copied();
            let index: Vec<i64> = tensor.size().iter().map(|side| side - 1).collect();
            let wanted = (size > 0).then(|| tensor.double_value(&index));
            let same = last == wanted || (last.is_some_and(f64::is_nan) && wanted.is_some_and(f64::is_nan));
            Ok(list.len() as i64 == size && same && !name.starts_with("Complex"))
        });
    }
}

fn tensors_of_values(calls: &mut Calls) {
    calls.right("no sequences", || Ok(Sequences::new(vec![], 3)?.to_tensor().size() == [0, 3]));
    calls.right("the largest token", || {
        Ok(Sequences::new(vec![u16::MAX], 1)?.to_tensor().int64_value(&[0, 0]) == i64::from(u16::MAX))
    });
    calls.either("no sequences of any length", "length", || {
        Ok(Sequences::new(vec![], isize::MAX as usize)?.to_tensor().numel() == 0)
    });
    calls.right("data", || Ok(data().to_tensor().size() == [6, 4]));
    calls.right("laws", || Ok(law(5, 3).to_tensor().size() == [5, 5, 5] && law(1, 1).to_tensor().size() == [1]));
    calls.right("a law of many tables", || Ok(Law::new(1, vec![vec![1.0]; 100])?.to_tensor().numel() == 1));
}

fn the_stop_button(calls: &mut Calls) {
    calls.right("outside a notebook", || Ok(!interrupted() && !interrupted()));
}
