//! The table of flags in a help text.

use super::{Flag, Standing};

/// Lines such as `  -e, --env list   Set environment variables`, sorted by name, descriptions in one column and
/// folded at `width`.
pub(crate) fn table(flags: &[&[Flag]], width: usize) -> String {
    let shown = |flag: &&&Flag| flag.standing == Standing::Here;
    let mut flags: Vec<&Flag> = flags
        .iter()
        .flat_map(|table| table.iter())
        .collect::<Vec<_>>()
        .iter()
        .filter(shown)
        .copied()
        .collect();
    flags.sort_by_key(|flag| flag.long);
    let left: Vec<String> = flags.iter().map(|flag| head(flag)).collect();
    let column = left.iter().map(String::len).max().unwrap_or_default() + 3;
    let mut text = String::new();
    for (flag, head) in flags.iter().zip(left) {
        let lines = fold(flag.help, width.saturating_sub(column).max(24));
        text += &format!("{head:column$}{}\n", lines.join(&format!("\n{:column$}", "")));
    }
    text
}

fn head(flag: &Flag) -> String {
    let short = flag.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
    let value = if flag.word.is_empty() { String::new() } else { format!(" {}", flag.word) };
    format!("  {short}--{}{value}", flag.long)
}

fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map_or(0, |line| line.len());
        match lines.last_mut() {
            Some(last) if line == 0 => last.push_str(word),
            Some(last) if line + 1 + word.len() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::{many, missing, switch};

    #[test]
    fn folds_and_sorts() {
        let flags = [
            many("env", "Set a variable").short('e'),
            switch("all", "Show every one of them there is"),
            missing("x"),
        ];
        let text = super::table(&[&flags], 40);
        assert_eq!(
            text,
            "      --all        Show every one of them\n                   there is\n  -e, --env list   Set a variable\n"
        );
    }
}
