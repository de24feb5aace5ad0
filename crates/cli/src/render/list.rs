//! Lists: rows of named cells, printed as a table, as JSON lines, or through the user's template.

use serde_json::{Map, Value};

use super::{Subject, Template, columns};
use crate::error::Result;

/// Names and headings of the cells a kind of row has.
pub(crate) struct Layout {
    /// The cell's name in templates, and its heading.
    pub(crate) headings: &'static [(&'static str, &'static str)],
    /// The table printed when nothing else is asked for.
    pub(crate) table: &'static str,
}

/// One row.
#[derive(Default)]
pub(crate) struct Row {
    cells: Map<String, Value>,
    labels: Value,
}

impl Row {
    /// A row from its cells.
    pub(crate) fn new<const N: usize>(cells: [(&str, String); N]) -> Self {
        let cells = cells.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
        Self { cells, labels: Value::Null }
    }

    /// Sets one more cell.
    pub(crate) fn set(&mut self, name: &str, text: &str) {
        self.cells.insert(name.to_owned(), text.into());
    }

    /// The row with a cell that is never there.
    pub(crate) fn absent(mut self, name: &str) -> Self {
        self.cells.insert(name.to_owned(), Value::Null);
        self
    }

    /// The row with labels for `.Label "key"` and `.Labels`.
    pub(crate) fn labels(mut self, labels: &Value) -> Self {
        let mut pairs: Vec<String> = Vec::new();
        for (key, value) in labels.as_object().into_iter().flatten() {
            pairs.push(format!("{key}={}", value.as_str().unwrap_or_default()));
        }
        pairs.sort();
        self.cells.insert("Labels".to_owned(), pairs.join(",").into());
        self.labels = labels.clone();
        self
    }
}

/// Rows and how they are to look.
pub(crate) struct List<'a> {
    /// What the cells are.
    pub(crate) layout: &'a Layout,
    /// `--format`, empty when not given.
    pub(crate) format: &'a str,
    /// `--quiet`: the cell to print alone.
    pub(crate) quiet: Option<&'a str>,
}

impl List<'_> {
    /// The text of the rows.
    pub(crate) fn print(&self, rows: &[Row]) -> Result<String> {
        let (source, is_table) = self.source();
        let template = Template::read(&source, Subject::Row)?;
        let mut body = String::new();
        for row in rows {
            body += &template.fill_row(&Value::Object(row.cells.clone()), &row.labels)?;
            body.push('\n');
        }
        if !is_table {
            return Ok(body);
        }
        let headings: Map<String, Value> = self
            .layout
            .headings
            .iter()
            .map(|(name, heading)| ((*name).to_owned(), (*heading).into()))
            .collect();
        let head = Template::read(&source, Subject::Headings)?.fill(&Value::Object(headings))?;
        Ok(columns(&format!("{head}\n{body}"), 10))
    }

    /// The template, and whether it is a table's.
    fn source(&self) -> (String, bool) {
        let is_plain = matches!(self.format, "" | "table");
        if let Some(cell) = self.quiet {
            return (format!("{{{{.{cell}}}}}"), false);
        }
        let text = if is_plain { self.layout.table } else { self.format };
        let (text, is_table) = match text {
            "json" => ("{{json .}}", false),
            text => match text.strip_prefix("table") {
                Some(rest) => (rest, true),
                None => (text, is_plain),
            },
        };
        (text.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n"), is_table)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LAYOUT: Layout = Layout {
        headings: &[("ID", "CONTAINER ID"), ("Name", "NAMES"), ("Labels", "LABELS")],
        table: "{{.ID}}\t{{.Name}}",
    };

    fn print(format: &str, quiet: Option<&str>) -> String {
        let rows = [
            Row::new([("ID", "0123456789ab".to_owned()), ("Name", "web".to_owned())])
                .labels(&json!({ "b": "2", "a": "1" })),
            Row::new([("ID", "ab".to_owned()), ("Name", "a longer name".to_owned())]).labels(&json!(null)),
        ];
        List { layout: &LAYOUT, format, quiet }.print(&rows).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn prints_every_form() {
        assert_eq!(
            print("", None),
            "CONTAINER ID   NAMES\n0123456789ab   web\nab             a longer name\n"
        );
        assert_eq!(
            print("table {{.Name}}\\t{{upper .ID}}", None),
            "NAMES           CONTAINER ID\nweb             0123456789AB\na longer name   AB\n"
        );
        assert_eq!(print("", Some("ID")), "0123456789ab\nab\n");
        assert_eq!(print("{{.Labels}}|{{.Label \"a\"}}", None), "a=1,b=2|1\n|\n");
        assert_eq!(
            print("json", None).lines().next(),
            Some(r#"{"ID":"0123456789ab","Labels":"a=1,b=2","Name":"web"}"#)
        );
    }
}
