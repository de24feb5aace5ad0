//! What a token is asked for: `repository:library/busybox:pull,push` (distribution's token scopes).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// More resources than this in one token nobody needs.
const MOST: usize = 16;

/// Resources, and what is to be done with them. Prints its scopes in order, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// Reading a repository, or also changing it.
    pub(crate) fn repository(path: &str, actions: &[&str]) -> Self {
        Self::resource(&format!("repository:{path}"), actions)
    }

    /// The list of repositories.
    pub(crate) fn catalog() -> Self {
        Self::resource("registry:catalog", &["*"])
    }

    /// Both.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for (resource, actions) in other.0 {
            if self.0.len() < MOST || self.0.contains_key(&resource) {
                self.0.entry(resource).or_default().extend(actions);
            }
        }
        self
    }

    /// What a challenge names: scopes separated by spaces. What is none is left out.
    pub(crate) fn read(text: &str) -> Self {
        text.split_ascii_whitespace().take(MOST).fold(Self::default(), |all, scope| {
            match scope.rsplit_once(':').filter(|(resource, _)| resource.contains(':')) {
                Some((resource, actions)) => {
                    all.and(Self::resource(resource, &actions.split(',').collect::<Vec<_>>()))
                }
                None => all,
            }
        })
    }

    /// Each scope.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(resource, actions)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        })
    }

    fn resource(resource: &str, actions: &[&str]) -> Self {
        let actions = actions.iter().filter(|a| !a.is_empty()).map(|&a| a.to_owned()).collect();
        Self(BTreeMap::from([(resource.to_owned(), actions)]))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::Scopes;

    #[test]
    fn scopes_are_united() {
        let pull = || Scopes::repository("a/b", &["pull"]);
        for (scopes, shown) in [
            (Scopes::default(), ""),
            (pull(), "repository:a/b:pull"),
            (pull().and(Scopes::repository("a/b", &["push", "pull"])), "repository:a/b:pull,push"),
            (pull().and(Scopes::repository("c", &["pull"])), "repository:a/b:pull repository:c:pull"),
            (pull().and(Scopes::catalog()), "registry:catalog:* repository:a/b:pull"),
            (
                Scopes::read("repository:a/b:pull,push  repository:h:5000/c:pull"),
                "repository:a/b:pull,push repository:h:5000/c:pull",
            ),
            (Scopes::read("nonsense a: repository(plugin):x:pull"), "repository(plugin):x:pull"),
        ] {
            assert_eq!(scopes.to_string(), shown);
        }
        let many = (0..99).map(|n| format!("repository:{n}:pull")).collect::<Vec<_>>().join(" ");
        assert_eq!(Scopes::read(&many).texts().count(), super::MOST);
    }
}
