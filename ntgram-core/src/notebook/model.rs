//! Models: their sizes, and their parameters by name, shape and norm.

use tch::Tensor;

use super::{Show, Shown};
use crate::error::Result;
use crate::listing::{self, CUT, Column, Kind, escape};
use crate::models::{Freeze, LowRank, Model, Norm, Parameters, Skips, Transformer, TransformerConfig};
use crate::numbers::{Small, aligned, count};
use crate::torch::Torch;

/// Parameters listed before the list is cut in the middle.
const SHOWN: usize = 30;

impl Show for Transformer {
    fn shown(&self) -> Result<Shown> {
        let config = self.config();
        let heading = format!(
            "N = {}, d = {}, {}, {} side by side{}{}, {}, window {}{}{}",
            config.n_vocab,
            config.d_model,
            count(config.n_layers, "layer"),
            count(config.n_modules, "attention module"),
            if config.n_heads > 1 { format!(" of {} heads", config.n_heads) } else { String::new() },
            if config.compresses() { format!(" of size {}", config.d_module()) } else { String::new() },
            mlp(config),
            config.context_window,
            if config.norm == Norm::None { ", no layer norm" } else { "" },
            skipped(&config.skips),
        );
        described("Transformer", &heading, self.params(), &self.frozen())
    }
}

impl Show for LowRank {
    fn shown(&self) -> Result<Shown> {
        let config = self.config();
        let heading = format!(
            "N = {}, d = {}, {} of {} tokens, window {}",
            config.n_vocab,
            config.d_model,
            count(config.n_contexts(), "context"),
            config.order - 1,
            config.context_window,
        );
        described("LowRank", &heading, self.params(), &self.frozen())
    }
}

fn mlp(config: &TransformerConfig) -> String {
    match config.has_mlp() {
        true => format!("MLPs of width {} and depth {}", config.width, config.depth),
        false => "no MLP".to_owned(),
    }
}

fn skipped(skips: &Skips) -> String {
    let names = [
        (skips.res_connection, "without res_connection"),
        (skips.pos_qk, "without pos_qk"),
        (skips.emb_qk, "without emb_qk"),
        (skips.pos_ov, "without pos_ov"),
        (skips.emb_ov, "without emb_ov"),
    ];
    let set: String = names.iter().filter(|(set, _)| *set).map(|(_, name)| format!(", {name}")).collect();
    set
}

fn described(name: &str, heading: &str, params: &Parameters, freeze: &Freeze) -> Result<Shown> {
    let specs = params.specs();
    let total: usize = specs.iter().map(|spec| spec.len()).sum();
    let trained: usize = specs.iter().filter(|spec| !spec.is_frozen(freeze)).map(|spec| spec.len()).sum();
    let rows = listing::shown(specs.len(), SHOWN);
    let norm = |&k: &usize| norm(&params.tensors()[k]);
    let norms = rows.iter().flatten().map(norm).collect::<Result<Vec<_>>>()?;
    let mut norms = aligned(&norms, 4, Small::Exact).into_iter();
    let cells = |text: &mut dyn FnMut(usize) -> String| {
        rows.iter().map(|row| row.map_or_else(|| CUT.to_owned(), &mut *text)).collect()
    };
    let columns = [
        Column::new(Kind::Text, "parameter", cells(&mut |k| specs[k].name.clone())),
        Column::new(Kind::Text, "shape", cells(&mut |k| format!("{:?}", specs[k].shape))),
        Column::new(Kind::Numbers, "norm", cells(&mut |_| norms.next().unwrap_or_default())),
        Column::new(
            Kind::Text,
            "",
            cells(&mut |k| if specs[k].is_frozen(freeze) { "frozen" } else { "trained" }.to_owned()),
        ),
    ];
    let values = format!("{total} values in {}, {trained} of them trained", count(specs.len(), "parameter"));
    let html =
        format!("<div><b>{name}</b>: {}</div>\n{}\n<p>{values}</p>", escape(heading), listing::to_html(&columns));
    Ok(Shown::html_and_text(html, format!("{name}: {heading}\n\n{}\n\n{values}", listing::to_text(&columns))))
}

/// Frobenius norm.
fn norm(tensor: &Tensor) -> Result<f64> {
    tensor.f_norm().torch()?.f_double_value(&[]).torch()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::last_position_law;
    use crate::rng::TorchRng;

    #[test]
    fn a_transformer_lists_its_parameters_with_norms_and_what_is_frozen() {
        let mut rng = TorchRng::new(1);
        let pi = last_position_law(&[7, 7], 7, 0.0, 0.9, &mut rng).unwrap();
        let skips = Skips { pos_ov: true, ..Default::default() };
        let config = TransformerConfig { d_model: 4, n_vocab: 7, n_heads: 2, skips, ..Default::default() };
        let mut model = Transformer::new(&config, &pi, &mut rng).unwrap();
        model.freeze(Freeze { u: true, ..Default::default() });
        model.params_mut().set("unemb.weight", &(Tensor::ones([7, 4], tch::kind::FLOAT_CPU) * 2)).unwrap();
        let text = model.shown().unwrap().text();
        assert!(text.starts_with("Transformer: N = 7, d = 4, 1 layer, 1 attention module side by side of 2 heads, no MLP, window 3, without pos_ov\n"), "{text}");
        let line =
            |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        // 28 entries of 2
        let fields: Vec<&str> = line("unemb.weight").split_whitespace().collect();
        assert_eq!(fields, ["unemb.weight", "[7,", "4]", "10.5830", "frozen"]);
        assert!(
            line("attn_seq.0.0.in_proj_weight").contains("[12, 4]") && line("word_emb.weight").ends_with("trained")
        );
        assert!(
            text.ends_with(&format!("{} values in 5 parameters, {} of them trained", 28 + 12 + 48 + 16 + 28, 104)),
            "{text}"
        );
        let html = model.shown().unwrap().html();
        assert!(html.contains(">unemb.weight<") && html.contains(">10.5830<"), "{html}");
    }

    #[test]
    fn a_model_of_the_paper_says_so_and_lists_its_compression() {
        let mut rng = TorchRng::new(1);
        let pi = last_position_law(&[7, 7], 7, 0.0, 0.9, &mut rng).unwrap();
        let config = TransformerConfig { n_modules: 3, ..TransformerConfig::of_paper(7, 5, 2) };
        let text = Transformer::new(&config, &pi, &mut rng).unwrap().shown().unwrap().text();
        let heading = "Transformer: N = 7, d = 5, 1 layer, 3 attention modules side by side of size 2, no MLP, window 3, no layer norm\n";
        assert!(text.starts_with(heading), "{text}");
        let row = text.lines().find(|line| line.starts_with("linear_compress.weight")).unwrap();
        assert!(row.contains("[2, 5]") && row.ends_with("trained"), "{row}");
    }

    #[test]
    fn a_low_rank_model_names_its_contexts() {
        let mut rng = TorchRng::new(1);
        let pi = last_position_law(&[7, 7], 7, 0.0, 0.9, &mut rng).unwrap();
        let text = LowRank::new(3, 7, 3, &pi, &mut rng).unwrap().shown().unwrap().text();
        assert!(text.starts_with("LowRank: N = 7, d = 3, 49 contexts of 2 tokens, window 3\n"), "{text}");
    }

    #[test]
    fn a_long_list_is_cut_in_the_middle() {
        let mut rng = TorchRng::new(1);
        let pi = last_position_law(&[5, 5], 5, 0.0, 0.9, &mut rng).unwrap();
        let config = TransformerConfig { d_model: 2, n_vocab: 5, n_modules: 40, ..Default::default() };
        let text = Transformer::new(&config, &pi, &mut rng).unwrap().shown().unwrap().text();
        assert!(text.contains(CUT) && text.contains("unemb.weight") && !text.contains("attn_seq.0.20."), "{text}");
    }
}
