//! What the lesson and the live page stand on: balanced forms, logits of all contexts, toys, exercises, solids, grids under a slider,
//! subscripts, boundaries, the page in a cell.

use ntgram_core::models::LowRankConfig;
use ntgram_core::prelude::*;

use super::calls::Calls;
use super::inputs::{HUGE, ODD, is_png, law, low_rank, matrix, near, ordinary, tensors, texts, transformer};

crate::groups! {
    "balanced" => balanced_forms,
    "context_logits, right_tokens, told_apart" => all_contexts,
    "best_wrong_cosine, most_opposite" => nearest_tokens,
    "ToyConfig::new, train_toys" => toys,
    "check" => checks,
    "Solid::new, Solid::edges, Solid::seen_from, solid" => solids,
    "Slider::of_figures" => grids_under_a_slider,
    "" => subscripts,
    "Heatmap::boundary" => boundaries,
    "LinePlot::dots, LinePlot::dots_xy" => dotted,
    "Color::lighter" => lighter_colors,
    "explore" => live_page,
}

fn balanced_forms(calls: &mut Calls) {
    for (name, logits) in tensors() {
        for d in HUGE.into_iter().chain([0, 1, 2]) {
            calls.either(format!("{name}, d = {d}"), "logits|d", || {
                let Balanced { w_e, w_u } = balanced(&logits, d)?;
                let Some((rows, columns, list)) = matrix(&logits) else { return Ok(false) };
                let rank = d.min(columns - 1).min(rows);
                let shapes = w_e.size() == [rows as i64, rank as i64] && w_u.size() == [columns as i64, rank as i64];
                // of full rank their products are the logits, each row less its mean
                let largest = list.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
                let means = list.chunks(columns).map(|row| row.iter().map(|x| x / columns as f64).sum::<f64>());
                let centred: Vec<f64> =
                    list.chunks(columns).zip(means).flat_map(|(row, mean)| row.iter().map(move |x| x - mean)).collect();
                let products = w_e.to_kind(Kind::Double).matmul(&w_u.to_kind(Kind::Double).transpose(0, 1));
                let apart = values(&products)?.iter().zip(&centred).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
                let full = rank == (columns - 1).min(rows);
                Ok(d > 0 && columns > 1 && shapes && apart.is_finite() && (!full || apart <= 1e-3 * largest))
            });
        }
    }
    calls.refused("a decomposition that takes hours", "logits", || {
        balanced(&Tensor::ones([20_000, 20_000], (Kind::Float, Device::Cpu)), 5)
    });
    calls.right("many contexts", || {
        let logits = Tensor::arange(1_000_000, (Kind::Float, Device::Cpu)).sin().view([250_000, 4]);
        Ok(balanced(&logits, usize::MAX)?.w_e.size() == [250_000, 3])
    });
}

fn all_contexts(calls: &mut Calls) {
    // wide, deep, of one token, without contexts
    for (n, order) in [(1, 1), (1, 3), (5, 1), (2, 2), (5, 3), (2, 16), (300, 2), (60, 3)] {
        calls.right(format!("{n} tokens, order {order}"), || {
            let pi = law(n, order);
            let config = TransformerConfig {
                d_model: 2,
                n_vocab: n,
                n_modules: 2,
                context_window: order.max(2),
                ..Default::default()
            };
            let low =
                LowRankConfig { d_model: 2, n_vocab: n, order, context_window: order.max(2), ..Default::default() };
            let transformer = Transformer::new(&config, &pi, &mut TorchRng::new(1))?;
            let low = LowRank::from_config(&low, &pi, &mut TorchRng::new(1))?;
            let contexts = n.pow(order as u32 - 1);
            let right = right_tokens(&pi).size() == [contexts as i64];
            let fits = |model: &dyn Model| {
                let logits = context_logits(model);
                let means = values(&logits.mean_dim(1, false, Kind::Double))?;
                Ok::<_, Error>(
                    logits.size() == [contexts as i64, n as i64]
                        && told_apart(model) <= contexts
                        && means.iter().all(|mean| mean.abs() < 1e-4)
                        && divergence(&logits, &pi)?.is_finite(),
                )
            };
            let closed = divergence(&context_logits(&low), &pi)? - low.divergence()?;
            Ok(right && fits(&transformer)? && fits(&low)? && closed.abs() < 1e-4)
        });
    }
    calls.right("a row is what the model says of the context", || {
        let (pi, config) =
            (law(2, 16), TransformerConfig { d_model: 2, n_vocab: 2, context_window: 16, ..Default::default() });
        let model = Transformer::new(&config, &pi, &mut TorchRng::new(1))?;
        let row = 0b101_1001_0111_0010i64;
        let tokens: Vec<i64> = (0..15).map(|place| row >> (14 - place) & 1).collect();
        let one = model.forward(&Tensor::from_slice(&tokens).view([1, 15]))?.get(0).get(14);
        Ok(near(&values(&context_logits(&model).get(row))?, &values(&(&one - one.mean(None)))?))
    });
    calls.right("the widest law of one token", || {
        let n = 1 << 16;
        let pi = Law::new(n, vec![vec![1.0 / n as f32; n]])?;
        let model = LowRank::new(1, n, 2, &pi, &mut TorchRng::new(1))?;
        Ok(context_logits(&model).size() == [1, n as i64] && right_tokens(&pi).size() == [1] && told_apart(&model) <= 1)
    });
    for weight in [f32::MAX, 1e30, 0.0] {
        calls.right(format!("weights of {weight:e} tell nothing apart"), || {
            let (mut first, mut second) = (transformer(), low_rank());
            let len = first.params().to_flat().len();
            first.params_mut().set_flat(&vec![weight; len])?;
            let len = second.params().to_flat().len();
            second.params_mut().set_flat(&vec![weight; len])?;
            Ok(context_logits(&first).size() == [25, 5] && told_apart(&first) == 0 && told_apart(&second) == 0)
        });
    }
}

fn nearest_tokens(calls: &mut Calls) {
    // plain loops over cosines in double precision, NaN for a row of zeros
    let cosines = |a: &[f64], b: &[f64], k: usize| -> Vec<Vec<f64>> {
        let unit = |row: &[f64]| -> Vec<f64> {
            let scale = row.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
            let norm = row.iter().map(|x| (x / scale).powi(2)).sum::<f64>().sqrt();
            row.iter().map(|x| x / scale / norm).collect()
        };
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        a.chunks(k).map(|x| b.chunks(k).map(|y| dot(&unit(x), &unit(y))).collect()).collect()
    };
    let same = |got: &[f64], wanted: &[f64]| {
        let close = |x: f64, y: f64| x.is_nan() == y.is_nan() && (x.is_nan() || (x - y).abs() < 1e-2);
        got.len() == wanted.len() && got.iter().zip(wanted).all(|(x, y)| close(*x, *y))
    };
    for (name, w) in tensors() {
        calls.either(format!("most_opposite: {name}"), "w", || {
            let got = most_opposite(&w)?;
            let Some((rows, k, list)) = matrix(&w) else { return Ok(false) };
            let all = cosines(&list, &list, k);
            let least = |i: usize| (0..rows).filter(|j| *j != i).map(|j| all[i][j]).fold(f64::NAN, f64::min);
            Ok(rows > 1 && same(&got, &(0..rows).map(least).collect::<Vec<_>>()))
        });
        let next = Tensor::from_slice(&[0i64, 1, 1, 0]);
        calls.either(format!("best_wrong_cosine: {name}"), "a|w_u|next", || {
            let got = best_wrong_cosine(&ordinary(), &w, &next)?;
            let Some((rows, k, list)) = matrix(&w) else { return Ok(false) };
            let all = cosines(&values(&ordinary())?, &list, k);
            let most = |(i, right): (usize, &usize)| {
                (0..rows).filter(|j| j != right).map(|j| all[i][j]).fold(f64::NAN, f64::max)
            };
            Ok(same(&got, &[0, 1, 1, 0].iter().enumerate().map(most).collect::<Vec<_>>()))
        });
        calls.either(format!("best_wrong_cosine: next {name}"), "next", || {
            Ok(best_wrong_cosine(&ordinary(), &ordinary(), &w)?.iter().all(|x| x.abs() <= 1.001))
        });
    }
    calls.right("a token of zeros beside others", || {
        let w = Tensor::from_slice(&[1f32, 0.0, 0.0, 0.0, -1.0, 0.0]).view([3, 2]);
        let opposite = most_opposite(&w)?;
        let best = best_wrong_cosine(&w, &w, &Tensor::from_slice(&[0i64, 0, 1]))?;
        Ok(opposite[0] == -1.0 && opposite[1].is_nan() && opposite[2] == -1.0 && best[0] == -1.0 && best[2] == 1.0)
    });
    calls.right("tokens in another layout", || {
        let next = Tensor::from_slice(&[0i64, 1, 1, 0]).view([2, 2]).transpose(0, 1);
        Ok(best_wrong_cosine(&ordinary(), &ordinary(), &next)?.len() == 4)
    });
    let many = || Tensor::ones([1 << 22, 1], (Kind::Float, Device::Cpu));
    calls.refused("pairs that no memory holds", "w", || most_opposite(&many()));
    calls.refused("the wrong ones among them", "a|w_u", || {
        best_wrong_cosine(&many(), &many(), &Tensor::zeros([1 << 22], (Kind::Int64, Device::Cpu)))
    });
}

fn toys(calls: &mut Calls) {
    let short = ToyOptions { steps: 3, batch_size: 4, ..Default::default() };
    let two = || ToyConfig::new(2, 0.5);
    let finite = |toys: Vec<Toy>| Ok(toys.iter().all(|toy| toy.loss.is_finite()));
    for size in HUGE.into_iter().chain([0]) {
        calls.refused(format!("{size} features"), "importance", || train_toys(&[ToyConfig::new(size, 0.5)], 2, &short));
        calls.refused(format!("width {size}"), "width", || train_toys(&[two()], size, &short));
        calls.refused(format!("batches of {size}"), "batch_size", || {
            train_toys(&[two()], 2, &ToyOptions { batch_size: size, ..short.clone() })
        });
        calls.refused(format!("{size} steps"), "steps", || {
            train_toys(&[two()], 2, &ToyOptions { steps: size, ..short.clone() })
        });
    }
    calls.refused("together too much", "width|batch_size", || {
        train_toys(&[ToyConfig::new(1 << 16, 0.5)], 1 << 16, &short)
    });
    calls.refused("a batch too much", "batch_size", || {
        train_toys(&[ToyConfig::new(1 << 16, 0.5)], 1, &ToyOptions { batch_size: 1 << 16, ..short.clone() })
    });
    calls.right("as many features as there may be", || finite(train_toys(&[ToyConfig::new(1 << 16, 0.5)], 2, &short)?));
    calls.refused("no models", "configs", || train_toys(&[], 2, &short));
    calls
        .refused("models of different sizes", "importance", || train_toys(&[two(), ToyConfig::new(3, 0.5)], 2, &short));
    for x in ODD {
        calls.either(format!("density {x}"), "density", || finite(train_toys(&[ToyConfig::new(2, x)], 1, &short)?));
        for company in [Company::Together, Company::Apart] {
            calls.either(format!("{company:?}, density {x}"), "density", || {
                finite(train_toys(&[ToyConfig { company, ..ToyConfig::new(3, x) }], 1, &short)?)
            });
        }
        calls.either(format!("importance {x}"), "importance|diverged", || {
            finite(train_toys(&[ToyConfig { importance: vec![1.0, x], ..two() }], 1, &short)?)
        });
        calls.either(format!("65536 features of importance {x}"), "importance|diverged", || {
            finite(train_toys(&[ToyConfig { importance: vec![x; 1 << 16], ..two() }], 1, &short)?)
        });
        calls.either(format!("learning rate {x}"), "lr|diverged", || {
            finite(train_toys(&[two()], 1, &ToyOptions { lr: x, ..short.clone() })?)
        });
    }
    calls.either("importance 1e38", "importance|diverged", || {
        finite(train_toys(&[ToyConfig { importance: vec![1e38; 2], ..two() }], 1, &short)?)
    });
    for seed in [0, u64::MAX] {
        calls.right(format!("seed {seed}"), || finite(train_toys(&[two()], 1, &ToyOptions { seed, ..short.clone() })?));
    }
    calls.right("1000 models, all kinds", || {
        let kind = |k: usize| ToyConfig { privileged: k.is_multiple_of(2), ..two() };
        finite(train_toys(&(0..1000).map(kind).collect::<Vec<_>>(), 5, &short)?)
    });
}

fn checks(calls: &mut Calls) {
    calls.right("nothing, an error, a panic, a stub", || {
        let wrong = |verdict: Verdict, part: &str| matches!(verdict, Verdict::Wrong(why) if why.contains(part));
        Ok(wrong(check(|| Ok(vec![])), "nothing")
            && wrong(check(|| Err(Error::argument("x", 0, "more"))), "`x` is 0")
            && wrong(check(|| panic!("at the disco")), "at the disco")
            && wrong(check(|| std::panic::panic_any(7)), "it panics")
            && check(|| todo!()) == Verdict::Todo
            && check(|| Ok(vec![("a", true)])) == Verdict::Right)
    });
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("a reason {what:?}"), || {
            let Verdict::Wrong(why) = check(|| panic!("{text}")) else { return Ok(false) };
            Ok(!why.contains(['\n', '\r', '\u{1b}', '\0']) && why.chars().count() < 600)
        });
    }
    calls.right("a check in a check, and in a thread of it", || {
        let inner = || check(|| panic!("inside")) == Verdict::Wrong("it panics: inside".to_owned());
        Ok(check(|| Ok(vec![("here", inner()), ("there", std::thread::spawn(inner).join().unwrap())]))
            == Verdict::Right)
    });
    calls.right("eight at once", || {
        let threads: Vec<_> = (0..8).map(|k| std::thread::spawn(move || check(|| panic!("{k}")))).collect();
        Ok(threads.into_iter().enumerate().all(|(k, t)| t.join().unwrap() == Verdict::Wrong(format!("it panics: {k}"))))
    });
    calls.right("100,000 statements", || {
        let mut list = vec![("a", true); 100_000];
        list.push(("the last holds", false));
        Ok(check(|| Ok(list)) == Verdict::Wrong("it should hold that the last holds".to_owned()))
    });
}

fn solids(calls: &mut Calls) {
    // seen from two sides, without a number that is none
    let drawn = |solid: &Solid| -> Result<bool> {
        let seen = [0.0, 33.0].map(|degrees| solid.seen_from(degrees).figure());
        Ok(is_png(&seen[0].to_png()?)
            && seen.iter().all(|figure| figure.to_svg().is_ok_and(|svg| !svg.contains("NaN"))))
    };
    let corners = [[0.0, 0.0, 1.0], [1.0, 0.0, -0.3], [-0.5, 0.8, -0.3], [-0.5, -0.8, -0.3]];
    for x in ODD {
        calls.either(format!("a coordinate {x}"), "points", || {
            drawn(&Solid::new(&[[x, 0.0, 1.0], [0.0, x, x], [1.0, 1.0, 1.0]])?)
        });
        calls.either(format!("all of them {x}"), "points", || drawn(&Solid::new(&[[x; 3]; 5])?));
        calls.either(format!("a tetrahedron times {x}"), "points", || {
            let solid = Solid::new(&corners.map(|p| p.map(|c| c * x)))?;
            // of the least number that there is only signs are left
            Ok(drawn(&solid)? && (x == 0.0 || x.abs() < 1e-300 || solid.edges() == 6))
        });
        calls.either(format!("turned by {x}"), "degrees", || {
            let plane = Solid::new(&corners)?.seen_from(x);
            Ok(is_png(&plane.clone().figure().to_png()?) && !plane.figure().to_svg()?.contains("NaN"))
        });
    }
    for scale in [1e-300, 1e-30, 1e30, 1e300] {
        calls.right(format!("a tetrahedron times {scale:e}"), || {
            let solid = Solid::new(&corners.map(|p| p.map(|c| c * scale)))?;
            Ok(solid.edges() == 6 && drawn(&solid)?)
        });
    }
    let sphere = |count: usize| -> Vec<[f64; 3]> {
        (0..count).map(|k| [(k as f64).sin(), (1.7 * k as f64).cos(), (0.3 * k as f64).sin()]).collect()
    };
    calls.refused("no points", "points", || Solid::new(&[]));
    calls.refused("201 points", "points", || Solid::new(&sphere(201)));
    calls.refused("a million", "points", || Solid::new(&vec![[1.0; 3]; 1_000_000]));
    calls.right("200 points", || drawn(&Solid::new(&sphere(200))?));
    calls.right("200 equal ones", || Ok(Solid::new(&[[0.1, 0.2, 0.3]; 200])?.edges() == 0));
    for (name, vectors) in tensors() {
        calls.either(format!("of a tensor: {name}"), "vectors|points", || {
            let solid = solid(&vectors, &name)?;
            Ok(matrix(&vectors).is_some_and(|(_, columns, _)| columns == 3) && drawn(&solid)?)
        });
    }
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("titled {what:?}"), || {
            drawn(&Solid::new(&corners)?.title(&text).x_label(&text).y_label(&text))
        });
    }
}

fn map() -> Heatmap {
    Heatmap::new(&[0.0, 1.0, 2.0, 3.0], 2, 2).unwrap()
}

fn grids_under_a_slider(calls: &mut Calls) {
    calls.refused("no frames", "frames", || Slider::of_figures([]));
    calls.refused("a grid without plots", "panels", || Slider::of_figures([Figure::grid(2)])?.to_html());
    calls.refused("a grid without columns", "columns", || Slider::of_figures([Figure::grid(0).with(map())])?.to_png());
    calls.refused("the second is wrong", "range", || {
        Slider::of_figures([map().figure(), map().range(1.0, 0.0).figure()])?.to_html()
    });
    calls.refused("more pixels than memory holds", "frames", || {
        Slider::of_figures(vec![map().figure().with_size(2000, 1000); 1000])?.to_html()
    });
    calls.refused("as many plots", "frames", || Slider::new(vec![map(); 20_000])?.to_html());
    calls.refused("one wide and one high", "frames|size", || {
        let sides = [(8000, 100), (100, 8000)].map(|(width, height)| map().figure().with_size(width, height));
        Slider::of_figures(sides)?.to_html()
    });
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("titled {what:?}"), || {
            let grid = Figure::grid(2).with_all(vec![map().title(&text); 3]).title(&text);
            let slider = Slider::of_figures(vec![grid; 2])?;
            let html = slider.to_html()?;
            Ok(slider.len() == 2 && slider.frames().is_empty() && !html.contains("<b>&") && !html.contains('\0'))
        });
    }
}

fn subscripts(calls: &mut Calls) {
    let mut texts: Vec<String> = [
        "x_{",
        "x_{}",
        "_",
        "W_",
        "x_{{{}",
        "x_}",
        "x_{a}_{b}",
        "x_a_b",
        "é_é",
        "🦀_{🦀}",
        "x_{<b>&\"'</b>}",
        "x_{a\0b\u{1b}}",
        "x_{two\nlines}",
        "x_{one two} y_{three}",
    ]
    .map(str::to_owned)
    .to_vec();
    for part in ["x_{", "x_{}", "x_i ", "_{", "x_{a", "}", "x_", "(x_{i}"] {
        texts.push(part.repeat(20_000));
    }
    texts.push(format!("x_{{{}}}", "i".repeat(50_000)));
    for text in texts {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("{what:?}, {} bytes", text.len()), || {
            let plot = map().title(&text).x_label(&text).y_label(&text).row_label(0, &text).col_label(1, &text);
            let curve = LinePlot::new().line(&text, &[1.0, 2.0]).y_label(&text);
            let figure = Figure::grid(2).with(plot).with(curve).title(&text);
            let svg = figure.to_svg()?;
            Ok(is_png(&figure.to_png()?)
                && !svg.contains("<b>")
                && !svg.contains(['\0', '\u{1b}'])
                && !svg.contains("NaN"))
        });
    }
}

fn boundaries(calls: &mut Calls) {
    let drawn = |map: Heatmap| {
        let figure = map.figure();
        Ok(is_png(&figure.to_png()?) && !figure.to_svg()?.contains("\"NaN"))
    };
    for level in ODD {
        calls.either(format!("at {level}"), "boundary", || Ok(drawn(map().boundary(level))? && !level.is_nan()));
        calls.right(format!("around cells of {level}"), || {
            drawn(Heatmap::new(&[level, 1.0, 0.0, level], 2, 2)?.boundary(0.5))
        });
    }
    calls.refused("at no number, on one cell", "boundary", || drawn(Heatmap::new(&[1.0], 1, 1)?.boundary(f64::NAN)));
    let noise = |count: usize| -> Vec<f64> { (0..count).map(|k| (k as f64 * k as f64).sin()).collect() };
    for (rows, cols) in [(1, 1), (1, 100_000), (100_000, 1), (1200, 1200), (2500, 2500)] {
        calls.right(format!("of noise, {rows} × {cols}"), || {
            drawn(Heatmap::new(&noise(rows * cols), rows, cols)?.boundary(0.0))
        });
    }
}

fn dotted(calls: &mut Calls) {
    let mut lists = vec![vec![], ODD.to_vec(), vec![f64::MAX, f64::MIN], vec![5e-324, 1e-323], vec![1.0, 1e295]];
    lists.extend(ODD.map(|x| vec![x]));
    lists.push((0..100_000).map(|k| f64::from(k).sin() * 1e300).collect());
    let drawn = |plot: LinePlot| {
        let figure = plot.figure();
        Ok(is_png(&figure.to_png()?) && !figure.to_svg()?.contains("NaN"))
    };
    for list in lists {
        let what = format!("{} numbers: {:?}", list.len(), &list[..list.len().min(4)]);
        calls.either(&what, "ys", || drawn(LinePlot::new().dots("a", &list)));
        calls.either(format!("logarithmic, {what}"), "ys", || drawn(LinePlot::new().dots("a", &list).log_y()));
        calls.either(format!("over themselves, {what}"), "xs|ys", || {
            drawn(LinePlot::new().dots_xy("a", &list, &list).line("b", &[1.0, 2.0]))
        });
        calls.refused(format!("with one x more, {what}"), "xs|ys", || {
            drawn(LinePlot::new().dots_xy("a", &[&list[..], &[1.0]].concat(), &list))
        });
    }
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("named {what:?}"), || {
            drawn(LinePlot::new().dots(&text, &[1.0, 2.0]).dots_xy(&text, &[1.0], &[2.0]))
        });
    }
}

fn lighter_colors(calls: &mut Calls) {
    for share in ODD {
        for color in [Color::Black, Color::Red, Color::Rgb(255, 255, 255)] {
            calls.right(format!("{color:?} lighter by {share}"), || {
                let Color::Rgb(r, g, b) = color.lighter(share) else { return Ok(false) };
                let all_white = (r, g, b) == (255, 255, 255);
                let itself = color.lighter(0.0) == Color::Rgb(r, g, b);
                Ok(if share >= 1.0 { all_white } else { itself })
            });
        }
    }
}

/// These processes run in folders of their own, and the page of each is the file `page.html` there.
fn live_page(calls: &mut Calls) {
    let page = std::path::Path::new("page.html");
    calls.refused("a page that is not there", "path", explore);
    for bad in [&b""[..], b" \n", b"\xff\xfe<p>"] {
        calls.refused(format!("a page of {bad:?}"), "path", || {
            std::fs::write(page, bad).unwrap();
            explore()
        });
    }
    for text in texts().into_iter().filter(|text| !text.trim().is_empty()) {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("a page of {what:?}"), || {
            std::fs::write(page, &text).unwrap();
            let shown = explore()?;
            Ok(!shown.html().contains("<b>&") && shown.html().starts_with("<iframe ") && !shown.text().is_empty())
        });
    }
    #[cfg(unix)]
    for device in ["/dev/zero", "/", "page.html", "/dev/null"] {
        calls.refused(format!("a page that is a link to {device}"), "path", || {
            let _ = std::fs::remove_file(page);
            std::os::unix::fs::symlink(device, page).unwrap();
            explore()
        });
    }
}
