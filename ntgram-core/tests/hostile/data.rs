//! Data, files, snapshots' names, statistics, tensors' values.

use std::path::Path;

use ntgram_core::files::write_whole;
use ntgram_core::prelude::*;

use super::calls::Calls;
use super::inputs::{HUGE, ODD, law, tensors, unwritable};

crate::groups! {
    "generate_data, sample_data" => drawn,
    "Data::from_sequences" => own_sequences,
    "Data::law, Data::head, Data::tokens, Data::sequences, Data::context_window, Data::batch_size, Data::num_batch, Data::n_vocab, Data::rows, Data::sequence, Data::column_sums" => what_data_says,
    "Data::shuffle, Data::next_shuffle, Data::batches, Batches::fill" => batches,
    "write_whole" => whole_files,
    "mean, least, most" => statistics,
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

fn statistics(calls: &mut Calls) {
    for list in [vec![], vec![f64::NAN], vec![1.0, f64::NAN]] {
        calls.right(format!("{list:?}"), || Ok(mean(&list).is_nan() && least(&list).is_nan() && most(&list).is_nan()));
    }
    calls.right("infinities", || {
        let list = [f64::INFINITY, f64::NEG_INFINITY, 0.0];
        Ok(mean(&list).is_nan() && least(&list) == f64::NEG_INFINITY && most(&list) == f64::INFINITY)
    });
    calls.right("the largest numbers", || {
        Ok((mean(&[f64::MAX; 4]) / f64::MAX - 1.0).abs() < 1e-9 && most(&[f64::MIN, f64::MAX]) == f64::MAX)
    });
    calls.right("odd ones", || Ok(most(&ODD[3..]) == f64::MAX && least(&ODD[3..]) == f64::MIN));
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
