//! Interpretation: linear algebra on tensors of any kind against plain loops in double precision, and what looks into models.

use ntgram_core::interp::layer_norm;
use ntgram_core::prelude::*;

use super::calls::Calls;
use super::inputs::{HUGE, law, matrix, near, of_paper, ordinary, tensors, texts, transformer};

crate::groups! {
    "gram, layer_norm" => products,
    "cosine_similarity, alignment" => cosines,
    "svd, svdvals, rank_d_part" => singular_values,
    "projector, projector_distance" => projectors,
    "superposition, Superposition::capacity, Superposition::dimensions_per_feature, Superposition::features_per_kept, Superposition::mean_dimension" => shared_directions,
    "second_order_optimum, least_squares_fit" => optima,
    "attention_map, exact_attention_map, qk_circuit, ov_circuit, full_qk_circuit, full_ov_circuit, gather_w_o" => circuits,
    "back_track, Attribution::modules, Attribution::res, Attribution::res_after_attn, Attribution::examples, Attribution::seq_target, Attribution::margins, Attribution::contributions, Attribution::correct_token" => attribution,
    "new_computation_basis, UnembeddingBasis as NamedTensors" => basis,
}

/// `a (m, k)` times the transpose of `b (n, k)`.
fn times_transposed(a: &[f64], b: &[f64], k: usize) -> Vec<f64> {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    a.chunks(k).flat_map(|x| b.chunks(k).map(move |y| dot(x, y)).collect::<Vec<_>>()).collect()
}

/// The largest singular value and the least of the first `min(rows, columns)`, by Gram's matrix in double precision of the values scaled to 1.
fn extremes(rows: usize, columns: usize, list: &[f64]) -> (f64, f64) {
    let scale = list.iter().fold(0.0f64, |scale, x| scale.max(x.abs())).max(f64::MIN_POSITIVE);
    let scaled: Vec<f64> = list.iter().map(|x| x / scale).collect();
    let s = values(&Tensor::from_slice(&scaled).view([rows as i64, columns as i64]).svd(true, true).1).unwrap();
    (s[0] * scale, s[s.len() - 1] * scale)
}

fn products(calls: &mut Calls) {
    for (name, w) in tensors() {
        calls.either(format!("gram: {name}"), "w", || {
            let got = gram(&w)?;
            let Some((rows, columns, list)) = matrix(&w) else { return Ok(false) };
            Ok(got.size() == [rows as i64; 2] && near(&values(&got)?, &times_transposed(&list, &list, columns)))
        });
        calls.either(format!("layer_norm: {name}"), "x", || {
            let got = layer_norm(&w)?;
            let list = values(&w)?;
            let width = w.size().last().copied().unwrap_or(1).max(1) as usize;
            let scale = list.iter().fold(0.0f64, |scale, x| scale.max(x.abs())).max(f64::MIN_POSITIVE);
            let row = |row: &[f64]| {
                let row: Vec<f64> = row.iter().map(|x| x / scale).collect();
                let mean = row.iter().sum::<f64>() / width as f64;
                let std = (row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64).sqrt();
                row.iter().map(|x| (x - mean) / (std + 1e-10 / scale)).collect::<Vec<_>>()
            };
            let wanted: Vec<f64> = list.chunks(width).flat_map(row).collect();
            Ok(got.size() == w.size() && near(&values(&got)?, &wanted) && !name.starts_with("Complex"))
        });
    }
}

fn cosines(calls: &mut Calls) {
    let unit = |list: &[f64], k: usize| -> Vec<f64> {
        let row = |row: &[f64]| {
            let scale = row.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
            let norm = row.iter().map(|x| (x / scale).powi(2)).sum::<f64>().sqrt();
            row.iter().map(|x| x / scale / norm).collect::<Vec<_>>()
        };
        list.chunks(k).flat_map(row).collect()
    };
    let all = tensors();
    for (name, a) in &all {
        for (other, b) in &all {
            calls.either(format!("{name} with {other}"), "a|b", || {
                let got = values(&cosine_similarity(a, b)?)?;
                let (Some((_, k, a)), Some((_, _, b))) = (matrix(a), matrix(b)) else { return Ok(false) };
                let wanted = times_transposed(&unit(&a, k), &unit(&b, k), k);
                // a row of zeros has no direction: NaN
                Ok(got
                    .iter()
                    .zip(&wanted)
                    .all(|(x, y)| x.is_nan() == y.is_nan() && (x.is_nan() || (x - y).abs() < 1e-2)))
            });
        }
        for (other, next) in
            [("int64", Tensor::from_slice(&[0i64, 1, 1, 0])), ("float", Tensor::from_slice(&[0f32, 1.0, 1.0, 0.0]))]
        {
            calls.either(format!("alignment: {name}, {other}"), "a|w_u|next", || {
                let got = alignment(&ordinary(), a, &next)?;
                let Some((rows, k, list)) = matrix(a) else { return Ok(false) };
                let (x, y) = (unit(&values(&ordinary())?, k), unit(&list, k));
                let all = times_transposed(&x, &y, k);
                let wanted = [0, 1, 1, 0].iter().enumerate().map(|(i, &t)| all[i * rows + t]);
                Ok(got
                    .iter()
                    .zip(wanted)
                    .all(|(a, b)| a.is_nan() == b.is_nan() && (a.is_nan() || (a - b).abs() < 1e-2)))
            });
        }
        calls.either(format!("alignment: tokens {name}"), "next", || {
            Ok(alignment(&ordinary(), &ordinary(), a)?.iter().all(|x| x.abs() <= 1.001))
        });
    }
}

fn singular_values(calls: &mut Calls) {
    for (name, w) in tensors() {
        calls.either(format!("svd: {name}"), "matrix", || {
            let Svd { u, s, vh } = svd(&w)?;
            let Some((rows, columns, list)) = matrix(&w) else { return Ok(false) };
            let back = (u.to_kind(Kind::Double) * s.to_kind(Kind::Double)).matmul(&vh.to_kind(Kind::Double));
            Ok(back.size() == [rows as i64, columns as i64] && near(&values(&back)?, &list))
        });
        calls.either(format!("svdvals: {name}"), "matrix", || {
            let got = svdvals(&w)?;
            let Some((rows, columns, list)) = matrix(&w) else { return Ok(false) };
            let (most, _) = extremes(rows, columns, &list);
            Ok(got.len() == rows.min(columns)
                && (got[0] - most).abs() <= 1e-2 * most
                && got.is_sorted_by(|a, b| a >= b))
        });
        for d in HUGE.into_iter().chain([0, 1, 2, 3]) {
            calls.either(format!("rank {d} of: {name}"), "w|d", || {
                let got = rank_d_part(&w, d)?;
                let Some((rows, columns, _)) = matrix(&w) else { return Ok(false) };
                let finite = values(&got)?.iter().all(|x| x.is_finite());
                // its columns lie in the span of the first d left singular vectors: it is no longer than the matrix
                let fits = svdvals(&got)?[0] <= svdvals(&w)?[0] * 1.001;
                Ok(got.size() == [rows as i64, d as i64] && d <= rows.min(columns) && finite && fits)
            });
        }
    }
    calls.either("a tall matrix", "w|matrix", || {
        let tall = Tensor::arange(600_000, (Kind::Float, Device::Cpu)).sin().view([300_000, 2]);
        Ok(rank_d_part(&tall, 2)?.size() == [300_000, 2] && svd(&tall)?.u.size() == [300_000, 2])
    });
}

fn projectors(calls: &mut Calls) {
    let all = tensors();
    for (name, w) in &all {
        calls.either(format!("projector: {name}"), "w", || {
            let p = projector(w)?;
            let Some((rows, columns, list)) = matrix(w) else { return Ok(false) };
            let (most, least) = extremes(rows, columns, &list);
            let p = p.to_kind(Kind::Double);
            let trace = p.trace().double_value(&[]);
            let idempotent = near(&values(&p.matmul(&p))?, &values(&p)?);
            Ok(columns <= rows && least > 1e-7 * most && (trace - columns as f64).abs() < 1e-2 && idempotent)
        });
        for (other, v) in &all {
            calls.either(format!("distance of {name} from {other}"), "a|b|w", || {
                let got = projector_distance(w, v)?;
                Ok((0.0..10.0).contains(&got) && (name != other || got < 1e-3))
            });
        }
    }
    let dependent = Tensor::from_slice(&[0.1f32, 0.3, 0.2, 0.6, 0.7, 2.1]).view([3, 2]);
    for factor in [1e-20, 1.0, 1e20] {
        calls.refused(format!("dependent columns times {factor}"), "w", || projector(&(&dependent * factor)));
        let double = Tensor::from_slice(&[0.1, 0.3, 0.2, 0.6, 0.7, 2.1]).view([3, 2]);
        calls.refused(format!("the same in double precision, times {factor}"), "w", || projector(&(double * factor)));
    }
    calls.refused("as many rows as memory does not hold squared", "w", || {
        projector(&Tensor::ones([1 << 22, 1], (Kind::Float, Device::Cpu)))
    });
    calls.refused("a Gram matrix of them", "w", || gram(&Tensor::ones([1 << 22, 1], (Kind::Float, Device::Cpu))));
    calls.refused("their cosines", "a|b", || {
        cosine_similarity(
            &Tensor::ones([1 << 22, 1], (Kind::Float, Device::Cpu)),
            &Tensor::ones([1 << 22, 1], (Kind::Float, Device::Cpu)),
        )
    });
    calls
        .refused("their superposition", "w", || superposition(&Tensor::ones([1 << 22, 1], (Kind::Float, Device::Cpu))));
}

fn shared_directions(calls: &mut Calls) {
    for (name, w) in tensors() {
        calls.either(&name, "w", || {
            let got = superposition(&w)?;
            let Some((rows, k, list)) = matrix(&w) else { return Ok(false) };
            let scale = list.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
            let scaled: Vec<f64> = list.iter().map(|x| if scale > 0.0 { x / scale } else { *x }).collect();
            let gram = times_transposed(&scaled, &scaled, k);
            let share = |i: usize| {
                let own = gram[i * rows + i];
                let all: f64 = (0..rows).map(|j| gram[i * rows + j].powi(2)).sum();
                if own > 0.0 { own * own / all } else { 0.0 }
            };
            let wanted: Vec<f64> = (0..rows).map(share).collect();
            let in_use = got.capacity();
            let sums =
                in_use <= rows.min(k) as f64 + 1e-6 && (got.mean_dimension() * rows as f64 - in_use).abs() < 1e-9;
            let ratios = got.features_per_kept() > 0.0 && got.dimensions_per_feature() > 0.0;
            let finite = got.norms.iter().chain(&got.interference).all(|x| x.is_finite());
            Ok(near(&got.dimensions, &wanted) && sums && ratios && finite && !got.frobenius_squared.is_nan())
        });
    }
}

fn optima(calls: &mut Calls) {
    let pi = law(4, 3);
    for (name, w) in tensors() {
        calls.either(format!("second_order_optimum: {name}"), "w_u", || {
            let got = second_order_optimum(&w, &pi)?;
            let Some((4, k, list)) = matrix(&w) else { return Ok(false) };
            // w = Var⁻¹ Cov: Var·w = Cov, in the first context
            let p: Vec<f64> = pi.last_table()[..4].iter().map(|p| f64::from(*p)).collect();
            let mean_log: f64 = p.iter().map(|p| p * p.ln()).sum();
            let row = |t: usize| &list[t * k..(t + 1) * k];
            let mean: Vec<f64> = (0..k).map(|c| (0..4).map(|t| p[t] * row(t)[c]).sum()).collect();
            let w = values(&got.get(0))?;
            let right = (0..k).all(|c| {
                let cov: f64 = (0..4).map(|t| p[t] * (p[t].ln() - mean_log) * row(t)[c]).sum();
                let along = |t: usize| (0..k).map(|e| (row(t)[e] - mean[e]) * w[e]).sum::<f64>();
                let var: f64 = (0..4).map(|t| p[t] * along(t) * (row(t)[c] - mean[c])).sum();
                (var - cov).abs() <= 1e-3 * cov.abs().max(1e-3 * list.iter().fold(0.0f64, |s, x| s.max(x.abs())))
            });
            Ok(got.size() == [16, k as i64] && right)
        });
    }
    for d in HUGE.into_iter().chain([0, 5]) {
        calls.refused(format!("least_squares_fit, d = {d}"), "d", || least_squares_fit(&pi, d));
    }
    let sparse = Law::new(2, vec![vec![1.0, 0.0]]).unwrap();
    calls.refused("a law with zeros", "law", || least_squares_fit(&sparse, 1));
    calls.refused("the optimum of a law with zeros", "law", || {
        second_order_optimum(&Tensor::ones([2, 1], (Kind::Float, Device::Cpu)), &sparse)
    });
    calls.right("all of the law", || {
        let fit = values(&least_squares_fit(&pi, 4)?)?;
        let centred = pi.last_table().chunks(4).flat_map(|row| {
            let mean = row.iter().map(|p| f64::from(p.ln())).sum::<f64>() / 4.0;
            row.iter().map(|p| f64::from(p.ln()) - mean).collect::<Vec<_>>()
        });
        Ok(near(&fit, &centred.collect::<Vec<_>>()))
    });
    let one = law(1, 2);
    calls.either("one token", "w_u|d|law", || Ok(values(&least_squares_fit(&one, 1)?)? == [0.0]));
    calls.either("the optimum of one token", "w_u", || {
        Ok(values(&second_order_optimum(&Tensor::ones([1, 1], (Kind::Float, Device::Cpu)), &one)?)? == [0.0])
    });
}

fn circuits(calls: &mut Calls) {
    for model in &[transformer(), of_paper()] {
        calls.right(format!("all of {:?}", model.config().d_inner), || {
            let finite = |map: Result<Tensor>, side: i64| {
                let map = map?;
                Ok::<_, Error>(map.size().ends_with(&[side]) && values(&map)?.iter().all(|x| x.is_finite()))
            };
            let mut all = finite(Ok(gather_w_o(model)), model.config().d_module() as i64)?;
            for (layer, module, head) in (0..8).map(|k| (k / 4, k / 2 % 2, k % 2)) {
                all &= finite(attention_map(model, layer, module), 5)?
                    && values(&exact_attention_map(model, layer, module, head)?)?
                        .iter()
                        .all(|x| (0.0..=1.0).contains(x))
                    && finite(full_qk_circuit(model, module, head), 5)?
                    && finite(full_ov_circuit(model, module, head), 5)?;
                for circuit in [qk_circuit(model, layer, module, head)?, ov_circuit(model, layer, module, head)?] {
                    all &= circuit.size() == [4, 4] && finite(Ok(circuit), 4)?;
                }
            }
            Ok(all)
        });
        for at in HUGE.into_iter().chain([2]) {
            calls.refused(format!("attention_map({at}, 0)"), "layer", || attention_map(model, at, 0));
            calls.refused(format!("attention_map(0, {at})"), "module", || attention_map(model, 0, at));
            calls.refused(format!("exact_attention_map({at}, 0, 0)"), "layer", || exact_attention_map(model, at, 0, 0));
            calls
                .refused(format!("exact_attention_map(0, {at}, 0)"), "module", || exact_attention_map(model, 0, at, 0));
            calls.refused(format!("exact_attention_map(0, 0, {at})"), "head", || exact_attention_map(model, 0, 0, at));
            for (name, circuit) in [
                ("qk_circuit", qk_circuit as fn(&Transformer, usize, usize, usize) -> Result<Tensor>),
                ("ov_circuit", ov_circuit),
            ] {
                calls.refused(format!("{name}({at}, 0, 0)"), "layer", || circuit(model, at, 0, 0));
                calls.refused(format!("{name}(0, {at}, 0)"), "module", || circuit(model, 0, at, 0));
                calls.refused(format!("{name}(0, 0, {at})"), "head", || circuit(model, 0, 0, at));
            }
            for (name, circuit) in [
                ("full_qk_circuit", full_qk_circuit as fn(&Transformer, usize, usize) -> Result<Tensor>),
                ("full_ov_circuit", full_ov_circuit),
            ] {
                calls.refused(format!("{name}({at}, 0)"), "module", || circuit(model, at, 0));
                calls.refused(format!("{name}(0, {at})"), "head", || circuit(model, 0, at));
            }
        }
        let flat = model.params().to_flat();
        let sizes = [1e20f32, 1e38].map(|size| (size, vec![size; flat.len()]));
        let scales = [1e10f32, 1e20, 1e37].map(|scale| (scale, flat.iter().map(|x| x * scale).collect()));
        for (size, weights) in sizes.into_iter().chain(scales) {
            let mut large = model.clone();
            large.params_mut().set_flat(&weights).unwrap();
            let finite = |map: Result<Tensor>| Ok(values(&map?)?.iter().all(|x| x.is_finite()));
            calls
                .either(format!("attention_map, weights of {size:e}"), "model", || finite(attention_map(&large, 0, 0)));
            calls.either(format!("exact_attention_map, weights of {size:e}"), "model", || {
                finite(exact_attention_map(&large, 1, 0, 0))
            });
            calls.either(format!("qk_circuit, weights of {size:e}"), "model", || finite(qk_circuit(&large, 0, 0, 0)));
            calls.either(format!("full_ov_circuit, weights of {size:e}"), "model", || {
                finite(full_ov_circuit(&large, 0, 0))
            });
            let tokens = Tensor::zeros([2, 3], (Kind::Int64, Device::Cpu));
            calls.either(format!("back_track, weights of {size:e}"), "model", || {
                let margins = back_track(&large, &tokens, 2)?.margins(0, 0, Method::Solo)?;
                Ok(margins.iter().all(|x| x.is_finite()))
            });
            calls.either(format!("new_computation_basis, weights of {size:e}"), "model", || {
                let seen = new_computation_basis(&large, &tokens)?;
                Ok(seen.names().iter().all(|name| finite(seen.get(name)).unwrap_or(false)))
            });
        }
    }
    let one = law(1, 1);
    let config = TransformerConfig { d_model: 1, n_vocab: 1, context_window: 1, ..Default::default() };
    let short = Transformer::new(&config, &one, &mut TorchRng::new(1)).unwrap();
    calls.refused("a window of one token", "context_window", || attention_map(&short, 0, 0));
    calls.refused("the exact map of a window of one token", "context_window", || exact_attention_map(&short, 0, 0, 0));
    calls.right("one token in one dimension", || {
        Ok(gather_w_o(&short).size() == [1, 1] && values(&full_qk_circuit(&short, 0, 0)?)? == [0.0])
    });
    let wide = TransformerConfig { d_model: 1, n_vocab: 1 << 16, ..Default::default() };
    calls.refused("maps of more pairs than memory holds", "model|n_vocab", || {
        let pi = Law::new(1 << 16, vec![vec![1.0 / 65536.0; 1 << 16]])?;
        exact_attention_map(&Transformer::new(&wide, &pi, &mut TorchRng::new(1))?, 0, 0, 0)
    });
}

fn attribution(calls: &mut Calls) {
    for model in &[transformer(), of_paper()] {
        for (name, examples) in tensors() {
            calls.either(format!("examples: {name}"), "tokens|seq_target", || {
                let tracked = back_track(model, &examples, 1)?;
                let list = values(&examples)?;
                Ok(tracked.examples().size() == examples.size() && list.iter().all(|t| (0.0..5.0).contains(t)))
            });
        }
        let examples = Tensor::from_slice(&[0i64, 1, 2, 3, 4, 0]).view([2, 3]);
        for target in HUGE.into_iter().chain([0, 3]) {
            calls.refused(format!("seq_target {target}"), "seq_target", || {
                back_track(model, &examples, target).map(drop)
            });
        }
        let tracked = back_track(model, &examples, 2).unwrap();
        for at in HUGE.into_iter().chain([2]) {
            calls.refused(format!("margins({at}, 0)"), "layer", || tracked.margins(at, 0, Method::Solo));
            calls.refused(format!("margins(0, {at})"), "module", || tracked.margins(0, at, Method::Group));
            calls.refused(format!("contributions({at}, 0)"), "example", || tracked.contributions(at, 0));
            calls.refused(format!("contributions(0, {at})"), "layer", || tracked.contributions(0, at));
            calls.refused(format!("correct_token({at})"), "example", || tracked.correct_token(at));
        }
        calls.right("what it has", || {
            let layers = (tracked.modules().len(), tracked.res().len(), tracked.res_after_attn().len());
            Ok(layers == (2, 2, 2)
                && tracked.seq_target() == 2
                && tracked.correct_token(0)? == 2
                && tracked.correct_token(1)? == 0)
        });
    }
    let one = law(1, 2);
    let config = TransformerConfig { d_model: 1, n_vocab: 1, context_window: 2, ..Default::default() };
    let small = Transformer::new(&config, &one, &mut TorchRng::new(1)).unwrap();
    calls.either("one token: there is no wrong one", "model|n_vocab", || {
        let tracked = back_track(&small, &Tensor::zeros([1, 2], (Kind::Int64, Device::Cpu)), 1)?;
        Ok(tracked.margins(0, 0, Method::Solo)?.iter().all(|x| x.is_finite()))
    });
}

fn basis(calls: &mut Calls) {
    for model in &[transformer(), of_paper()] {
        for (name, examples) in tensors() {
            calls.either(format!("examples: {name}"), "tokens", || {
                let seen = new_computation_basis(model, &examples)?;
                let list = values(&examples)?;
                Ok(seen.get("res_0")?.size().last() == Some(&5) && list.iter().all(|t| (0.0..5.0).contains(t)))
            });
        }
        let tokens = Tensor::from_slice(&[0i64, 1, 2]).view([1, 3]);
        let with = |w_u: &Tensor| {
            let mut model = model.clone();
            model.params_mut().set("unemb.weight", w_u)?;
            new_computation_basis(&model, &tokens)
        };
        let column = Tensor::from_slice(&[0.1f32, 0.2, 0.7, -0.3, 1.1]).view([5, 1]);
        calls.refused("dependent columns", "model", || {
            with(&Tensor::cat(&[&column, &(&column * 3), &(&column * 7), &(&column * 0.1)], 1)).map(drop)
        });
        calls.refused("a column of zeros", "model", || {
            with(&Tensor::cat(&[&column, &column.zeros_like(), &column.square(), &column.sin()], 1)).map(drop)
        });
        for factor in [1e-20, 1e20] {
            calls.either(format!("an unembedding times {factor}"), "model", || {
                let seen = with(&(model.w_u() * factor))?;
                let back =
                    seen.get("res_0")?.to_kind(Kind::Double).matmul(&(model.w_u().to_kind(Kind::Double) * factor));
                Ok(near(&values(&back)?, &values(&model.forward_with_activations(&tokens)?.res_0)?))
            });
        }
        let seen = new_computation_basis(model, &tokens).unwrap();
        for name in texts().into_iter().chain(["logits".to_owned()]) {
            let what: String = name.chars().take(20).collect();
            calls.refused(format!("get({what:?})"), "name", || seen.get(&name));
        }
    }
    let tokens = Tensor::from_slice(&[0i64, 1, 2]).view([1, 3]);
    let wide = TransformerConfig { d_model: 6, n_vocab: 5, ..Default::default() };
    calls.refused("more dimensions than tokens", "model", || {
        new_computation_basis(&Transformer::new(&wide, &law(5, 3), &mut TorchRng::new(1))?, &tokens).map(drop)
    });
}
