//! What the page relies on.

use ntgram_web::talk::Talk;
use ntgram_web::{Model, Session, Settings};

fn transformer() -> Settings {
    Settings { model: Model::Transformer { modules: 3 }, tokens: 7, dimensions: 4, p: 0.8, ..Default::default() }
}

#[test]
fn numbers_do_not_depend_on_how_the_steps_are_cut() {
    for settings in [Settings::default(), transformer()] {
        let mut one = Session::start(settings.clone(), None).unwrap();
        let mut other = Session::start(settings, None).unwrap();
        let whole = one.advance(60).unwrap();
        let parts: Vec<f64> = [1, 19, 0, 40].into_iter().flat_map(|steps| other.advance(steps).unwrap()).collect();
        assert_eq!(whole, parts);
        assert_eq!(one.view(vec![]), other.view(vec![]));
    }
}

#[test]
fn a_session_that_follows_another_begins_as_if_it_were_the_first() {
    let fresh = |settings: &Settings| Session::start(settings.clone(), None).unwrap();
    let mut before = fresh(&Settings::default());
    before.advance(10).unwrap();
    // the same data, other data twice, and the first again
    for settings in [
        Settings { dimensions: 3, ..Default::default() },
        Settings { seed: 5, ..Default::default() },
        Settings { p: 0.7, seed: 5, ..Default::default() },
        Settings::default(),
    ] {
        let mut after = Session::start(settings.clone(), Some(before)).unwrap();
        let mut alone = fresh(&settings);
        assert_eq!(after.advance(20).unwrap(), alone.advance(20).unwrap(), "{settings:?}");
        assert_eq!(after.values(), alone.values());
        before = after;
    }
}

#[test]
fn training_goes_on_behind_the_first_pass() {
    let mut session = Session::start(Settings::default(), None).unwrap();
    session.advance(5000).unwrap();
    let at_rest = session.view(vec![]);
    assert!(at_rest.right() == 100 && at_rest.divergence < 0.03, "{}", at_rest.divergence);
    let losses = session.advance(1100).unwrap(); // two passes more, and a part
    let later = session.view(vec![]);
    assert_eq!((losses.len(), later.step), (1100, 6100));
    assert!(losses.iter().all(|loss| *loss < 0.05) && later.divergence < at_rest.divergence + 1e-3);
}

#[test]
fn a_change_keeps_the_model_and_the_likely_tokens() {
    let mut session = Session::start(transformer(), None).unwrap();
    session.advance(300).unwrap();
    let (values, before) = (session.values(), session.view(vec![]));
    session.change(0.5, 1e-2).unwrap();
    let after = session.view(vec![]);
    assert_eq!(session.values(), values);
    assert_eq!((&after.likely, &after.trained, after.step), (&before.likely, &before.trained, 300));
    assert!(after.entropy > before.entropy && after.divergence != before.divergence);
    assert!(session.change(1.5, 1e-2).is_err() && session.change(0.5, 0.0).is_err());
    assert_eq!(session.values(), values, "a refused change changes nothing");
    session.advance(300).unwrap();
    assert!(session.view(vec![]).divergence < after.divergence, "it learns the new law");
}

#[test]
fn every_vector_has_its_share() {
    let session = Session::start(transformer(), None).unwrap();
    let view = session.view(vec![]);
    for vectors in [&view.trained, &view.balanced] {
        assert_eq!((vectors.rows.len(), vectors.dimensions.len()), (7 * 4, 7));
        let total: f64 = vectors.dimensions.iter().sum();
        assert!(total > 1.0 && total <= 4.0 + 1e-9, "{total}");
    }
    assert_eq!((view.likely.len(), view.guessed.len(), view.step), (49, 49, 0));
}

#[test]
fn the_talk_answers_in_json_and_errors_name_the_argument() {
    let mut talk = Talk::default();
    let mut ask = |request: &str| serde_json::from_str::<serde_json::Value>(&talk.answer(request)).unwrap();
    assert_eq!(ask(r#"{"advance":1}"#)["error"], "nothing was started");
    assert!(ask("{").to_string().contains("EOF"));
    let start =
        r#"{"start":{"model":{"transformer":{"modules":2}},"tokens":5,"dimensions":2,"p":0.9,"lr":0.003,"seed":1}}"#;
    assert_eq!(ask(start)["view"]["step"], 0);
    let view = &ask(r#"{"advance":7}"#)["view"];
    assert_eq!((&view["step"], view["losses"].as_array().unwrap().len()), (&7.into(), 7));
    assert_eq!(ask(r#"{"change":{"p":0.5,"lr":0.01}}"#)["view"]["losses"], serde_json::json!([]));
    let refused = ask(&start.replace("\"tokens\":5", "\"tokens\":500"));
    assert_eq!(refused["error"], "`tokens` is 500, but it must be between 2 and 32");
    let low_rank = start.replace(r#"{"transformer":{"modules":2}}"#, r#""low_rank""#).replace("0.003", "1e30");
    assert_eq!(ask(&low_rank)["view"]["step"], 0);
    assert!(ask(r#"{"advance":50}"#)["error"].as_str().unwrap().contains("diverged"));
    assert_eq!(ask(r#"{"advance":1}"#)["error"], "nothing was started");
}
