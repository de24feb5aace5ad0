//! A request to one host, seen to its end: plain HTTP where that is allowed, redirects, and second tries.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Method, StatusCode};
use types::{Kind, weak};

use crate::answer::refusal;
use crate::auth::{Want, Who, prove};
use crate::client::Core;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::hosts::Endpoint;
use crate::http::{Failure, Patience, Payload, Request, Response, Trouble, Url};
use crate::redirect;
use crate::retry::{Outcome, pause};

/// What is asked for.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// Who asks, when the host may want to know.
    pub(crate) who: Option<Who>,
    /// Silence may last so long before an answer; `None` is the usual.
    pub(crate) patience: Option<Duration>,
}

impl Ask {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), payload: Payload::Nothing, who: None, patience: None }
    }

    /// The request as Go's clients print it.
    fn shown(&self, url: &Url) -> String {
        let name = self.method.as_str();
        let (first, rest) = name.split_at(1);
        // Signed queries are nobody's business.
        let url = url.to_string();
        let url = url.split('?').next().unwrap_or_default();
        format!("{first}{} \"{url}\"", rest.to_ascii_lowercase())
    }
}

/// An answer that is neither a redirect nor worth another try.
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// Who answered in the end: locations are seen from there.
    pub(crate) url: Url,
    /// The request, for errors.
    pub(crate) asked: String,
    /// Why credentials were not shown, when that was so.
    withheld: Option<String>,
}

impl Answer {
    /// The answer, when its status is one of these; else the refusal that it is.
    pub(crate) async fn expect(self, statuses: &[u16]) -> Result<Self> {
        if statuses.contains(&self.response.status.as_u16()) {
            return Ok(self);
        }
        let error = refusal(&self.asked, self.response).await;
        match self.withheld {
            Some(why) if why == NO_CREDENTIALS => {
                let message = format!("{}: {why}", self.asked);
                Err(error.said(message))
            }
            Some(why) if matches!(error.kind(), Kind::Unauthorized | Kind::Forbidden) => {
                let message = format!("{error}: {why}");
                Err(error.said(message))
            }
            _ => Err(error),
        }
    }
}

/// A request may be refused for want of a proof so many times: once without any, once with a token that was good until now.
const CHALLENGES: u32 = 2;

/// Docker's words for a registry that wants a name and a password and was shown none.
pub const NO_CREDENTIALS: &str = "no basic auth credentials";

/// How far a request has come.
struct Course<'a> {
    core: &'a Core,
    endpoint: &'a Endpoint,
    ask: Ask,
    /// Where it goes next.
    url: Url,
    tries: u32,
    redirects: u32,
    challenges: u32,
    /// What was shown last.
    shown: Option<HeaderValue>,
    withheld: Option<String>,
}

/// What to do after an attempt.
enum Next {
    /// Once more, at once or after a pause.
    Again(Duration),
    /// It is over.
    Done,
}

/// Asks one host.
pub(crate) async fn exchange(core: &Core, endpoint: &Endpoint, mut ask: Ask) -> Result<Answer> {
    let mut payload = std::mem::replace(&mut ask.payload, Payload::Nothing);
    let url = core.reached(endpoint, &ask.url);
    let mut course = Course {
        core,
        endpoint,
        ask,
        url,
        tries: 0,
        redirects: 0,
        challenges: 0,
        shown: None,
        withheld: None,
    };
    loop {
        let (asked, spare) = (course.ask.shown(&course.url), payload.again());
        let result = course.attempt(payload).await?;
        let next = match &result {
            Err(failure) => course.after_failure(failure),
            Ok(response) => course.after_answer(&asked, response)?,
        };
        match (next, spare) {
            (Next::Again(pause), Some(spare)) => {
                if !pause.is_zero() {
                    tracing::debug!("{asked}: once more in {pause:?}");
                    tokio::time::sleep(pause).await;
                }
                payload = spare;
            }
            _ => {
                let response = result.map_err(|failure| {
                    Error::unreachable(&course.asked_of(&failure, asked.clone()), &failure)
                })?;
                return Ok(Answer { response, url: course.url, asked, withheld: course.withheld });
            }
        }
    }
}

impl Course<'_> {
    fn is_home(&self) -> bool {
        weak::is_off("I04") || self.url.origin == self.core.reached(self.endpoint, &self.endpoint.base).origin
    }

    /// The request as it is told: who cannot reach a registry at all is told of the registry, as Docker does, which asks for its
    /// root first.
    fn asked_of(&self, failure: &Failure, asked: String) -> String {
        let is_all = matches!(
            failure.trouble,
            Trouble::Name | Trouble::Connect | Trouble::Certificate | Trouble::NotTls | Trouble::Proxy
        );
        let base = &self.endpoint.base;
        let is_home = self.url.origin == base.origin || self.url.origin == base.in_clear().origin;
        // A token service is no registry.
        if !is_all || !is_home || self.endpoint.capabilities.is_empty() {
            return asked;
        }
        let root = Url { origin: self.url.origin.clone(), path: format!("{}/", base.path) };
        format!("Get \"{root}\"")
    }

    async fn attempt(&mut self, payload: Payload) -> Result<Result<Response, Failure>> {
        self.tries += 1;
        let mut headers = self.ask.headers.clone();
        let is_home = self.is_home();
        if is_home {
            self.prove(&mut headers).await?;
            headers.extend(self.endpoint.headers.clone());
        }
        let tls = if is_home { &*self.endpoint.tls } else { self.endpoint.tls.for_stranger() };
        let usual = self.core.patience(self.endpoint);
        let patience = Patience { idle: self.ask.patience.unwrap_or(usual.idle), ..usual };
        let (method, url) = (self.ask.method.clone(), &self.url);
        Ok(self.core.transport.send(Request { method, url, headers, payload, tls, patience }).await)
    }

    /// Shows who we are, if that is wanted here.
    async fn prove(&mut self, headers: &mut HeaderMap) -> Result<()> {
        let Some(who) = &self.ask.who else { return Ok(()) };
        let home = weak::is_off("I04").then(|| self.core.reached(self.endpoint, &self.endpoint.base));
        let origin = &home.as_ref().unwrap_or(&self.url).origin;
        let want = self.core.keyring.want(origin);
        let refused = self.shown.as_ref().filter(|_| self.challenges > 0);
        let proof = prove(self.core, self.endpoint, origin, want.as_ref(), who, refused).await?;
        if let Some(header) = &proof.header {
            headers.insert(AUTHORIZATION, header.clone());
        }
        (self.shown, self.withheld) = (proof.header, proof.withheld);
        Ok(())
    }

    fn after_failure(&mut self, failure: &Failure) -> Next {
        if self.core.fall_back(self.endpoint, &mut self.url, failure) {
            self.tries -= 1;
            return Next::Again(Duration::ZERO);
        }
        self.pause(Outcome::Failed(failure.trouble))
    }

    fn after_answer(&mut self, asked: &str, response: &Response) -> Result<Next> {
        let location = response.header(LOCATION);
        let to = redirect::next(
            &self.ask.method,
            response.status,
            location,
            &self.url,
            self.endpoint.may_be_plain,
        )
        .map_err(Error::corrupt)?;
        if let Some(to) = to {
            self.redirects += 1;
            if self.redirects > redirect::MOST {
                return Err(Error::corrupt(format!("{asked}: stopped after {} redirects", redirect::MOST)));
            }
            self.url = to;
            self.tries -= 1;
            return Ok(Next::Again(Duration::ZERO));
        }
        if response.status == StatusCode::UNAUTHORIZED {
            return self.after_challenge(response);
        }
        let after = response.header(RETRY_AFTER);
        Ok(self.pause(Outcome::Answered(response.status.as_u16(), after)))
    }

    /// Once more when there is something to show that was not shown yet.
    fn after_challenge(&mut self, response: &Response) -> Result<Next> {
        if self.ask.who.is_none() || !self.is_home() || self.challenges >= CHALLENGES {
            return Ok(Next::Done);
        }
        let want = self.core.keyring.challenged(&self.url.origin, &response.headers)?;
        let is_new = match want {
            Some(Want::Bearer { .. }) => !self.is_fixed(),
            Some(Want::Basic) => {
                if self.shown.is_none() && !self.can_be_basic() {
                    self.withheld = Some(NO_CREDENTIALS.to_owned());
                }
                self.shown.is_none() && self.can_be_basic()
            }
            None => false,
        };
        self.challenges += 1;
        self.tries -= 1;
        Ok(if is_new { Next::Again(Duration::ZERO) } else { Next::Done })
    }

    /// What we show here never changes.
    fn is_fixed(&self) -> bool {
        let is_bearer = |who: &Who| matches!(who.credentials, Credentials::Bearer(_));
        self.endpoint.headers.contains_key(AUTHORIZATION)
            || (self.endpoint.is_origin && self.ask.who.as_ref().is_some_and(is_bearer))
    }

    fn can_be_basic(&self) -> bool {
        let has = |who: &Who| matches!(who.credentials, Credentials::Basic { .. } | Credentials::Identity(_));
        self.endpoint.is_origin && !self.is_fixed() && self.ask.who.as_ref().is_some_and(has)
    }

    fn pause(&mut self, outcome: Outcome<'_>) -> Next {
        let most = self.core.options.attempts;
        match pause(outcome, self.tries, most, random(), jiff::Timestamp::now().as_second()) {
            // A signed URL may have grown old: from the beginning.
            Some(pause) => {
                self.url = self.core.reached(self.endpoint, &self.ask.url);
                Next::Again(pause)
            }
            None => Next::Done,
        }
    }
}

/// From 0 to 1: spreads clients, hides nothing.
pub(crate) fn random() -> f64 {
    let mut bytes = [0; 4];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return 1.0;
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// Whether plain HTTP may be tried after this.
pub(crate) fn suggests_plain(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::Connect | Trouble::NotTls | Trouble::Broken | Trouble::Timeout)
}
