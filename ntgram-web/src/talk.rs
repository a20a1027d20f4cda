//! The language between the page and this crate: a request in JSON, a reply in JSON. The tests speak it to this machine's build of the
//! crate too (`examples/talk.rs`).

use serde::{Deserialize, Serialize};

use crate::session::{Session, View};
use crate::settings::Settings;

/// What the page asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A new model, not trained yet.
    Start(Settings),
    /// So many steps.
    Advance(usize),
    /// Another law and another learning rate for the model that there is.
    Change {
        /// Probability of the likely token.
        p: f64,
        /// Adam's learning rate.
        lr: f64,
    },
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one at a time")]
pub enum Reply {
    /// What there is to see.
    View(View),
    /// Why not.
    Error(String),
}

/// The session that requests are about.
#[derive(Default)]
pub struct Talk {
    session: Option<Session>,
}

impl Talk {
    /// Answers one request.
    pub fn answer(&mut self, request: &str) -> String {
        let reply = match self.reply(request) {
            Ok(view) => Reply::View(view),
            Err(message) => Reply::Error(message),
        };
        serde_json::to_string(&reply).expect("a reply has a JSON form")
    }

    /// An error ends the session.
    fn reply(&mut self, request: &str) -> Result<View, String> {
        let request = serde_json::from_str(request).map_err(|error| error.to_string())?;
        let before = self.session.take();
        let (session, losses) = reply(request, before)?;
        Ok(self.session.insert(session).view(losses))
    }
}

fn reply(request: Request, before: Option<Session>) -> Result<(Session, Vec<f64>), String> {
    let answered = match (request, before) {
        (Request::Start(settings), before) => Session::start(settings, before).map(|session| (session, vec![])),
        (_, None) => return Err("nothing was started".to_owned()),
        (Request::Advance(steps), Some(mut session)) => session.advance(steps).map(|losses| (session, losses)),
        (Request::Change { p, lr }, Some(mut session)) => session.change(p, lr).map(|()| (session, vec![])),
    };
    answered.map_err(|error| error.to_string())
}
