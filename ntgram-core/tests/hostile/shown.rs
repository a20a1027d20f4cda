//! Tables, and what cells show.

use ntgram_core::notebook::Shown;
use ntgram_core::prelude::*;
use ntgram_core::table::Value;

use super::calls::Calls;
use super::inputs::{HUGE, ODD, is_png, law, low_rank, tensors, texts, transformer, unwritable};

crate::groups! {
    "Table::new, Table::from_rows, Table::frame, Table::to_html, Row::new" => tables,
    "Table::write_csv, Table::write_parquet, Table::read_csv, Table::read_parquet" => table_files,
    "Table::numbers, Table::only" => table_lookups,
    "sweep, sweep_to" => sweeps,
    "Table as Show, DataFrame as Show" => shown_tables,
    "Tensor as Show, Law as Show, Data as Show, Sequences as Show, Transformer as Show, LowRank as Show, History as Show" => shown_things,
    "LineFit as Show, PowerLawFit as Show" => shown_fits,
    "Figure as Show, Slider as Show, Page as Show, Shown as Show, Result as Show" => shown_pictures,
    "[T] as Show, Vec as Show, [T; N] as Show, () as Show" => shown_values,
    "Show::shown, Show::evcxr_display, show" => showing,
    "Page::new, Page::text, Page::figure, Page::table, Page::slider, Page::show" => pages,
    "Shown::nothing, Shown::plain, Shown::then, Shown::html, Shown::png, Shown::text" => forms,
}

/// What no page may be sent: more than this, or an element that was not escaped.
const MOST: usize = 300_000;

/// HTML and text are there, short, and escaped.
fn fit(shown: &Shown) -> Result<bool> {
    let (html, text) = (shown.html(), shown.text());
    shown.png()?.iter().for_each(|png| assert!(is_png(png)));
    let markup: usize =
        html.split("base64,").map(|part| part.split_once('"').map_or(part.len(), |(_, rest)| rest.len())).sum();
    Ok(markup < MOST && text.len() < MOST && !html.contains("<b>&\"'"))
}

fn tables(calls: &mut Calls) {
    calls.refused("no rows", "rows", || Table::from_rows([]));
    calls.either("a row without columns", "rows", || Ok(Table::from_rows([Row::new(vec![])])?.frame().width() == 0));
    calls.refused("rows of other columns", "rows", || Table::from_rows([row!["a" => 1], row!["b" => 1]]));
    calls.refused("values of other kinds", "rows", || Table::from_rows([row!["a" => 1], row!["a" => 1.0]]));
    calls.refused("two columns of one name", "rows", || Table::from_rows([row!["a" => 1, "a" => 2]]));
    for x in ODD {
        calls.right(format!("{x}"), || {
            Ok(Table::from_rows([row!["x" => x, "y" => x as f32]])?.to_html().contains("<table"))
        });
    }
    for size in HUGE {
        calls.right(format!("{size}"), || {
            Ok(Value::from(size) == Value::Whole(i64::try_from(size).unwrap_or(i64::MAX))
                && Table::from_rows([row!["n" => size]])?.to_html().len() > 50)
        });
    }
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("{what:?}"), || {
            let table = Table::from_rows([row![text.clone() => text.clone()]])?;
            Ok(fit(&table.shown()?)? && table.frame().shape() == (1, 1) && !table.to_html().contains("<b>&"))
        });
    }
    calls.right("a frame without columns", || {
        let table = Table::new(ntgram_core::polars::prelude::DataFrame::empty());
        Ok(table.to_html().contains("0 rows") && !table.to_string().is_empty() && !format!("{table:?}").is_empty())
    });
    calls.right("100,000 rows, 1000 columns", || {
        let long = Table::from_rows((0..100_000).map(|k| row!["k" => k]))?;
        let wide = Table::from_rows([Row::new((0..1000).map(|k| (format!("c{k}"), Value::from(k as i64))).collect())])?;
        Ok(long.to_html().len() < MOST && wide.to_html().len() < MOST)
    });
    calls.right("spaces are kept", || Ok(Table::from_rows([row!["a  b" => " x  y "]])?.to_html().contains("pre")));
}

fn table_lookups(calls: &mut Calls) {
    let table = || {
        Table::from_rows([row!["a" => 1.5, "b" => "x", "k" => 3], row!["a" => f64::NAN, "b" => "", "k" => -1]]).unwrap()
    };
    for name in ["", "A", "a ", "\0", "🦀", "c"] {
        calls.refused(format!("numbers of {name:?}"), "column", || table().numbers(name));
        calls.refused(format!("rows by {name:?}"), "column", || table().only(name, 1));
    }
    calls.refused("numbers of text", "column", || table().numbers("b"));
    calls.right("numbers and NaN", || Ok(table().numbers("a")?[0] == 1.5 && table().numbers("a")?[1].is_nan()));
    for x in ODD {
        calls.right(format!("rows by {x}"), || Ok(table().only("a", x)?.frame().height() <= 1));
        calls.right(format!("rows of whole numbers by {x}"), || Ok(table().only("k", x)?.frame().height() <= 1));
        calls.right(format!("rows of text by {x}"), || Ok(table().only("b", x)?.frame().height() == 0));
    }
    calls.right("whole numbers by what they are worth", || Ok(table().only("k", 3.0)?.numbers("k")? == [3.0]));
    calls.right("an empty table", || {
        let empty = table().only("b", "none")?;
        Ok(empty.numbers("a")?.is_empty() && empty.only("b", "x")?.frame().height() == 0)
    });
}

/// A plan of one small training.
fn small_plan() -> Plan {
    Plan::parse(
        r#"
        [[experiment]]
        name = "small"
        stream = { seed = 1 }
        law = { kind = "power_unif", n_vocab = 4, alphas = [1, 1, 1], nb_tokens = [4, 4, 1], seed = 1 }
        data = { batch_size = 8, num_batch = 4, context_window = 3 }
        model = { kind = "low_rank", d_model = 2 }
        training = { lr = 0.01 }
        "#,
    )
    .unwrap()
}

fn sweeps(calls: &mut Calls) {
    calls.right("a small one, twice", || {
        let (first, again) = (sweep(&small_plan())?, sweep(&small_plan())?);
        let same = first.tasks.numbers("loss")? == again.tasks.numbers("loss")?;
        Ok(same && first.done == 1 && first.points.numbers("count")? == [1.0])
    });
    for path in unwritable().into_iter().filter(|path| !std::path::Path::new(path).is_dir()) {
        calls.refused(format!("into {path:?}"), "path", || sweep_to(&small_plan(), &path));
    }
    calls.right("a result that is no result", || {
        let first = sweep_to(&small_plan(), "damaged")?;
        for entry in std::fs::read_dir("damaged").unwrap().flatten() {
            for file in std::fs::read_dir(entry.path()).unwrap().flatten() {
                std::fs::write(file.path(), b"{").unwrap();
            }
        }
        let again = sweep_to(&small_plan(), "damaged")?;
        Ok(first.tasks.numbers("loss")? == again.tasks.numbers("loss")?)
    });
    let long = "[[experiment]]\nname = \"x\"\n".repeat(10_000);
    let odd = ["", "\0", "[", "experiment = 3", "[[experiment]]", "🦀 = 1", long.as_str()];
    for text in odd {
        let what: String = text.chars().take(20).collect();
        calls.refused(format!("the plan {what:?}"), "path", || Plan::parse(text));
    }
    for path in ["", "none.toml", "/", "/dev/null", "\0"] {
        calls.refused(format!("the plan at {path:?}"), "path", || Plan::read(path));
    }
    calls.refused("a part that there is not", "only", || small_plan().only(&["large"]));
}

fn table_files(calls: &mut Calls) {
    for path in ["", "none", "/", "\0", "/dev/null"] {
        calls.either(format!("CSV from {path:?}"), "path", || Ok(Table::read_csv(path)?.frame().height() == 0));
        calls.refused(format!("Parquet from {path:?}"), "path", || Table::read_parquet(path));
    }
    for bytes in [&b"PAR1"[..], b"\xff\xfe\0", b"a,b\n1\n1,2,3\n", b"\"a", &[0; 1000]] {
        calls.either(format!("tables from {bytes:?}"), "path", || {
            std::fs::write("odd", bytes).unwrap();
            let csv = Table::read_csv("odd").map(|table| table.frame().height() < 1000)?;
            Table::read_parquet("odd").map(|_| csv)
        });
    }
    let table = Table::from_rows([row!["a" => 1.5, "b" => "x"]]).unwrap();
    for path in unwritable() {
        calls.refused(format!("CSV to {path:?}"), "path", || table.write_csv(&path));
        calls.refused(format!("Parquet to {path:?}"), "path", || table.write_parquet(&path));
    }
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("{what:?}"), || {
            let table = Table::from_rows([row![text.clone() => text.clone(), "x" => f64::NAN]])?;
            table.write_csv("🦀 é/t.csv")?;
            table.write_parquet("🦀 é/t.parquet")?;
            Ok(std::fs::read("🦀 é/t.parquet").unwrap().starts_with(b"PAR1"))
        });
    }
    calls.either("no rows", "path", || {
        let table = Table::new(df!["k" => Vec::<i64>::new()].unwrap());
        table.write_csv("none.csv")?;
        table.write_parquet("none.parquet")?;
        Ok(std::fs::read("none.csv").unwrap() == b"k\n")
    });
    calls.either("no columns", "path", || {
        let table = Table::new(ntgram_core::polars::prelude::DataFrame::empty());
        table.write_csv("empty.csv")?;
        table.write_parquet("empty.parquet")?;
        Ok(true)
    });
}

fn shown_tables(calls: &mut Calls) {
    for x in ODD {
        calls.right(format!("{x}"), || {
            let frame = df!["x" => [x, 1.0], "n" => [None, Some(x as f32)]].unwrap();
            Ok(fit(&frame.shown()?)? && fit(&Table::from(frame).shown()?)?)
        });
    }
    calls.right("long texts in many cells", || {
        let cells = vec!["m".repeat(20_000); 100];
        fit(&df!["x" => cells].unwrap().shown()?)
    });
    calls.right("columns of lists", || {
        use ntgram_core::polars::prelude::{NamedFrom, Series};
        let list = Series::new("x".into(), &[Series::new("".into(), (0..100_000).collect::<Vec<i64>>())]);
        fit(&df!["x" => list].unwrap().shown()?)
    });
}

fn shown_things(calls: &mut Calls) {
    for (name, tensor) in tensors() {
        calls.either(format!("tensor: {name}"), "tensor", || fit(&tensor.shown()?));
    }
    let cpu = (Kind::Float, Device::Cpu);
    for size in [vec![1; 60], vec![3; 13], vec![0, 1 << 40], vec![1_000_000], vec![1000, 1000], vec![2, 0, 1 << 40]] {
        calls.right(format!("tensor: {size:?}"), || fit(&Tensor::zeros(&size[..], cpu).shown()?));
    }
    calls.right("an expanded tensor", || fit(&Tensor::ones([1], cpu).expand([1000, 1000], false).shown()?));
    calls.either("an expanded tensor that no memory holds", "tensor", || {
        fit(&Tensor::ones([1], cpu).expand([1 << 20, 1 << 20], false).shown()?)
    });
    calls.right("laws", || {
        let wide = Law::new(1 << 16, vec![vec![1.0 / 65536.0; 1 << 16]])?;
        let deep = Law::new(1, vec![vec![1.0]; 5000])?;
        Ok(fit(&law(5, 3).shown()?)? && fit(&law(1, 1).shown()?)? && fit(&wide.shown()?)? && fit(&deep.shown()?)?)
    });
    calls.right("data and sequences", || {
        let one = Law::new(1, vec![vec![1.0]])?;
        let (long, many) = (
            generate_data(1, 1, &one, 1_000_000, &mut TorchRng::new(1))?,
            generate_data(1000, 1000, &one, 1, &mut TorchRng::new(1))?,
        );
        Ok(fit(&long.shown()?)?
            && fit(&many.shown()?)?
            && fit(&long.sequences().shown()?)?
            && fit(&Sequences::new(vec![], isize::MAX as usize)?.shown()?)?)
    });
    for bad in [f32::MAX, 1e-45] {
        calls.right(format!("models of {bad}"), || {
            let (mut model, mut low) = (transformer(), low_rank());
            for (name, tensor) in model.clone().params().iter() {
                model.params_mut().set(name, &(tensor.zeros_like() + f64::from(bad)))?;
            }
            let len = low.params().to_flat().len();
            low.params_mut().set_flat(&vec![bad; len])?;
            Ok(fit(&model.shown()?)? && fit(&low.shown()?)?)
        });
    }
    let data = generate_data(2, 2, &law(5, 3), 3, &mut TorchRng::new(1)).unwrap();
    let history = train(&mut low_rank(), &data, &TrainOptions::default().quiet()).unwrap();
    let mut lists = vec![vec![], ODD.to_vec(), vec![1e-300, 1e300], vec![0.5; 300_000]];
    lists.extend(ODD.map(|x| vec![x]));
    for list in lists {
        calls.right(format!("a history of {:?} …", &list[..list.len().min(4)]), || {
            let odd = History { loss: list.clone(), accuracy: list.clone(), seconds: f64::NAN, ..history.clone() };
            let other = History { accuracy: vec![], seconds: -1.0, ..odd.clone() };
            Ok(fit(&odd.shown()?)? && fit(&other.shown()?)?)
        });
    }
}

fn shown_fits(calls: &mut Calls) {
    let line = line_fit(&[1.0, 2.0, 3.0], &[1.0, 2.0, 2.5]).unwrap();
    let law = power_law_fit(&[1.0, 2.0, 3.0], &[1.0, 2.0, 2.5]).unwrap();
    for odd in ODD {
        calls.right(format!("{odd}"), || {
            let line = LineFit { slope: odd, intercept_error: odd, chi_squared: Some(odd), ..line.clone() };
            let none = LineFit { degrees_of_freedom: 0, chi_squared: None, ..line.clone() };
            let law = PowerLawFit { coefficient: odd, line: line.clone(), ..law.clone() };
            Ok(fit(&line.shown()?)? && fit(&none.shown()?)? && fit(&law.shown()?)?)
        });
    }
}

fn map() -> Heatmap {
    Heatmap::new(&[0.0, 1.0], 1, 2).unwrap()
}

fn shown_pictures(calls: &mut Calls) {
    calls.refused("a figure without plots", "panels", || Figure::grid(1).shown());
    calls.refused("a panel that is wrong", "range", || Panel::from(map().range(1.0, 1.0)).shown());
    calls.refused("a slider with a wrong frame", "range", || Slider::new([map(), map().range(2.0, 1.0)])?.shown());
    calls.right("an error", || {
        let refused: Result<Heatmap> = Heatmap::new(&[], 0, 0);
        let page: Result<Page> = Ok(Page::new());
        Ok(refused.shown()?.text().starts_with("`rows` is 0")
            && page.shown()?.html().is_empty()
            && Shown::nothing().shown()?.text().is_empty())
    });
    calls.right("40 figures below one another", || {
        let page = (0..40).fold(Page::new(), |page, _| page.figure(map()));
        Ok(page.shown()?.png()?.is_some_and(|png| is_png(&png)))
    });
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("titled {what:?}"), || fit(&map().title(&text).figure().shown()?));
    }
}

fn shown_values(calls: &mut Calls) {
    calls.right("lists", || {
        let list = vec![0.1; 1_000_000];
        let nested = vec![vec![0u8; 100_000]; 100];
        Ok(fit(&list.shown()?)?
            && fit(&list[..0].shown()?)?
            && fit(&[0; 5000].shown()?)?
            && fit(&nested.shown()?)?
            && ().shown()? == Shown::nothing())
    });
    calls.right("values", || {
        let tuple = (vec![1; 200_000], "a", 'b', Some(f64::NAN));
        let map: std::collections::HashMap<usize, f64> = (0..100_000).map(|k| (k, 0.5)).collect();
        Ok(fit(&Some(vec![1; 200_000]).shown()?)?
            && fit(&tuple.shown()?)?
            && fit(&map.shown()?)?
            && fit(&u64::MAX.shown()?)?
            && fit(&f64::NAN.shown()?)?)
    });
    for text in texts().into_iter().chain(["long ".repeat(1_000_000)]) {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("{what:?}"), || {
            Ok(fit(&text.shown()?)? && fit(&[text.as_str(), ""].shown()?)? && fit(&text[..0].shown()?)?)
        });
    }
}

fn showing(calls: &mut Calls) {
    calls.right("all kinds, one after the other", || {
        map().evcxr_display();
        Figure::grid(0).evcxr_display(); // its message is shown
        ().evcxr_display();
        show(&transformer())?;
        show("text")?;
        show(&Tensor::new())?;
        Ok(show(&Figure::grid(0)).is_err() && Tensor::new().shown().is_ok())
    });
}

fn pages(calls: &mut Calls) {
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("{what:?}"), || {
            let table = Table::from_rows([row![text.clone() => text.clone()]])?;
            let slider = display_heatmaps(vec![map().title(&text)])?;
            let page = Page::new().text(&text).figure(map().title(&text)).table(table).slider(slider).show(&text);
            fit(&page.shown()?)
        });
    }
    calls.right("things that cannot be drawn", || {
        let page =
            Page::new().figure(Figure::grid(0)).slider(Slider::new([map().range(1.0, 0.0)])?).show(&Tensor::new());
        let text = page.shown()?.text();
        Ok(text.contains("`columns` is 0") && text.contains("`range` is (1, 0)"))
    });
}

fn forms(calls: &mut Calls) {
    calls.right("nothing", || {
        let nothing = Shown::nothing().then(Shown::nothing());
        Ok(nothing.html().is_empty() && nothing.png()?.is_none() && nothing.text().is_empty())
    });
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("{what:?}"), || {
            let shown = Shown::plain(&text).then(Shown::plain("after"));
            Ok(fit(&shown)? && shown.text().ends_with("after"))
        });
    }
    calls.right("very much text", || fit(&Shown::plain(&"long ".repeat(1_000_000))));
}
