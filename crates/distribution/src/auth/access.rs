//! What a call needs: a table, in the words of tokens' scopes.

use std::fmt;

use crate::name::Name;
use crate::route::{Call, Effect};

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Repository(Name),
    Catalog,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Pull,
    Push,
    Delete,
    /// Reading the list of repositories.
    Any,
}

/// One thing that a caller must be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) scope: Scope,
    pub(crate) action: Action,
}

impl Access {
    pub(crate) fn pull(name: &Name) -> Self {
        Self { scope: Scope::Repository(name.clone()), action: Action::Pull }
    }
}

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Any => "*",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(name) => write!(f, "repository:{name}"),
            Self::Catalog => f.write_str("registry:catalog"),
        }
    }
}

/// What a call must be allowed, and what a client should ask for besides: a push also reads, and a mount reads where it takes from.
/// Whoever mounts without a right to the source gets an upload instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) must: Vec<Access>,
    pub(crate) besides: Vec<Access>,
}

/// What this call needs.
pub(crate) fn needed(call: &Call, from: Option<&Name>) -> Needed {
    let Some(name) = call.repository() else {
        let catalog = Access { scope: Scope::Catalog, action: Action::Any };
        let must = if *call == Call::Catalog { vec![catalog] } else { Vec::new() };
        return Needed { must, besides: Vec::new() };
    };
    let on = |action| Access { scope: Scope::Repository(name.clone()), action };
    match call.effect() {
        Effect::Reads => Needed { must: vec![on(Action::Pull)], besides: Vec::new() },
        Effect::Deletes => Needed { must: vec![on(Action::Delete)], besides: Vec::new() },
        Effect::Writes => {
            let besides = [on(Action::Pull)].into_iter().chain(from.map(Access::pull)).collect();
            Needed { must: vec![on(Action::Push)], besides }
        }
    }
}

impl Needed {
    /// `scope=` of a challenge: `repository:a:pull,push repository:b:pull`.
    pub(crate) fn scope(&self) -> String {
        let mut scopes: Vec<(String, Vec<&str>)> = Vec::new();
        for access in self.besides.iter().chain(&self.must) {
            let (scope, action) = (access.scope.to_string(), access.action.as_str());
            match scopes.iter_mut().find(|(known, _)| *known == scope) {
                Some((_, actions)) => actions.push(action),
                None => scopes.push((scope, vec![action])),
            }
        }
        let texts: Vec<String> =
            scopes.iter().map(|(scope, actions)| format!("{scope}:{}", actions.join(","))).collect();
        texts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;
    use crate::route;

    #[test]
    fn every_call_needs_what_it_does() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (method, path, from, scope) in [
            ("GET", "/v2/".to_owned(), None, ""),
            ("GET", "/v2/_catalog".to_owned(), None, "registry:catalog:*"),
            ("GET", "/v2/a/tags/list".to_owned(), None, "repository:a:pull"),
            ("HEAD", format!("/v2/a/blobs/{digest}"), None, "repository:a:pull"),
            ("PUT", "/v2/a/manifests/t".to_owned(), None, "repository:a:pull,push"),
            ("DELETE", "/v2/a/manifests/t".to_owned(), None, "repository:a:delete"),
            (
                "POST",
                "/v2/a/blobs/uploads/".to_owned(),
                Some("b"),
                "repository:a:pull,push repository:b:pull",
            ),
        ] {
            let call = route::find(&method.parse::<Method>().unwrap(), &path).unwrap();
            let from = from.map(|text: &str| text.parse().unwrap());
            assert_eq!(needed(&call, from.as_ref()).scope(), scope, "{method} {path}");
        }
    }
}
