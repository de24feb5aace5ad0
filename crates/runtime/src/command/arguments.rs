//! Reading options: `--name value`, `--name=value`, `-n value`, flags, and what is left.

use super::output::Complaint;

/// Options by name (without dashes), and the words that are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    options: Vec<(String, String)>,
    /// What is no option.
    pub(crate) words: Vec<String>,
}

impl Arguments {
    /// Reads options anywhere. `values` are the options that take a value.
    pub(crate) fn of(rest: &[String], values: &[&str]) -> Result<Self, Complaint> {
        let mut all = Self::default();
        let mut rest = rest;
        loop {
            let (mut found, left) = Self::leading(rest, values)?;
            all.options.append(&mut found.options);
            let Some((word, left)) = left.split_first() else { return Ok(all) };
            all.words.push(word.clone());
            rest = left;
        }
    }

    /// Reads options up to the first word, and returns what is left.
    pub(crate) fn leading<'a>(
        rest: &'a [String],
        values: &[&str],
    ) -> Result<(Self, &'a [String]), Complaint> {
        let mut arguments = Self::default();
        let mut rest = rest;
        while let Some((first, left)) = rest.split_first() {
            let Some(option) = first.strip_prefix('-').filter(|o| !o.is_empty()) else { break };
            rest = left;
            if option == "-" {
                break;
            }
            let option = option.strip_prefix('-').unwrap_or(option);
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (option, None),
            };
            let value = match value {
                Some(value) => value,
                None if values.contains(&name) => {
                    let (value, left) = rest
                        .split_first()
                        .ok_or_else(|| Complaint::new(format!("option --{name} needs a value")))?;
                    rest = left;
                    value.clone()
                }
                None => String::new(),
            };
            arguments.options.push((name.to_owned(), value));
        }
        Ok((arguments, rest))
    }

    /// Refuses options that a command does not have: accepted and ignored would be a lie.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Complaint> {
        match self.options.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Complaint::new(format!("option --{name} is not supported here"))),
            None => Ok(()),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(n, value)| n == name && value != "false")
    }

    /// The last value of an option, under any of its names.
    pub(crate) fn value(&self, names: &[&str]) -> Option<&str> {
        self.options.iter().rev().find(|(n, _)| names.contains(&n.as_str())).map(|(_, v)| v.as_str())
    }

    /// Every value of an option, under any of its names.
    pub(crate) fn every(&self, names: &[&str]) -> impl Iterator<Item = &str> {
        self.options.iter().filter(move |(n, _)| names.contains(&n.as_str())).map(|(_, v)| v.as_str())
    }

    /// The one word there must be.
    pub(crate) fn id(&self) -> Result<&str, Complaint> {
        match self.words.as_slice() {
            [id] => Ok(id),
            [] => Err(Complaint::new("the container's id is missing")),
            [_, word, ..] => Err(Complaint::new(format!("unexpected argument {word:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    #[test]
    fn options_and_words() {
        let words: Vec<String> = ["--bundle", "/b", "-d", "--pid-file=/p", "id", "--", "-x"]
            .iter()
            .map(|w| (*w).to_owned())
            .collect();
        let all = Arguments::of(&words, &["bundle", "pid-file"]).expect("well formed");
        assert_eq!(all.value(&["b", "bundle"]), Some("/b"));
        assert_eq!(all.value(&["pid-file"]), Some("/p"));
        assert!(all.has("d"));
        assert_eq!(all.words, ["id", "-x"]);
        let (leading, rest) = Arguments::leading(&words, &["bundle"]).expect("well formed");
        assert!(leading.has("pid-file"));
        assert_eq!(rest.first().map(String::as_str), Some("id"));
        assert!(Arguments::of(&words[..1], &["bundle"]).is_err());
    }
}
