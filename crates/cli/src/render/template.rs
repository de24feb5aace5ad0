//! `--format`: Go templates with the functions that Docker adds.

use std::sync::{Arc, Mutex};

use gotmpl::parse::{CommandNode, Expr, ListNode, Node, Parser, PipeNode};
use gotmpl::{MissingKey, TemplateError, Value};
use types::Kind;

use super::order::Order;
use crate::error::{Error, Result};

const MAIN: &str = "main";
const LABEL: &str = "label of the row";

/// Fields whose keys are texts of people's, and their values too.
const MAPS: [&str; 8] =
    ["Labels", "Attributes", "Options", "Annotations", "Sysctls", "StorageOpt", "Tmpfs", "DriverOpts"];

/// What a template is filled in with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A document of the daemon's.
    Document,
    /// A row of a list.
    Row,
    /// The headings of a table: functions leave a column's name as it is.
    Headings,
}

/// A template, read and ready.
pub(crate) struct Template {
    source: String,
    inner: gotmpl::Template,
    /// The same, where a missing key is no error.
    lenient: gotmpl::Template,
    labels: Arc<Mutex<Value>>,
    order: Arc<Mutex<Order>>,
    subject: Subject,
}

impl Template {
    /// Reads a template.
    pub(crate) fn read(source: &str, subject: Subject) -> Result<Self> {
        let what =
            if subject == Subject::Document { "template parsing error" } else { "failed to parse template" };
        let unreadable = |e: TemplateError| Error::new(format!("{what}: {}", words(&e)));
        let (mut tree, defines) =
            Parser::new(source, "{{", "}}").and_then(Parser::parse).map_err(unreadable)?;
        methods(&mut tree);
        let (labels, order) = (Arc::new(Mutex::new(Value::Nil)), Arc::default());
        let made = |missing| {
            let empty = functions(gotmpl::Template::new(""), subject, (&labels, &order)).missing_key(missing);
            let defined = defines.iter().fold(empty, |t, d| t.add_parse_tree(&d.name, d.body.clone()));
            defined.add_parse_tree(MAIN, tree.clone())
        };
        let (inner, lenient) = (made(MissingKey::Error), made(MissingKey::Invalid));
        Ok(Self { source: source.to_owned(), inner, lenient, labels, order, subject })
    }

    /// Fills the template in with a document's text; `json` keeps the order of its keys.
    pub(crate) fn fill_text(&self, document: &[u8]) -> Result<String> {
        let unreadable =
            |e: serde_json::Error| Error::new(format!("unable to read inspect data: {e}")).of(Kind::Corrupt);
        if let Ok(mut order) = self.order.lock() {
            *order = Order::of(document).map_err(unreadable)?;
        }
        self.fill(&serde_json::from_slice(document).map_err(unreadable)?)
    }

    /// Fills the template in with a document.
    pub(crate) fn fill(&self, data: &serde_json::Value) -> Result<String> {
        self.fill_row(data, &serde_json::Value::Null)
    }

    /// Fills the template in with a row whose labels are asked for by `.Label "key"`.
    pub(crate) fn fill_row(&self, data: &serde_json::Value, labels: &serde_json::Value) -> Result<String> {
        let failed = |e: TemplateError| match (&e, self.subject) {
            (TemplateError::MissingKey { key }, Subject::Row) => Error::new(format!(
                "failed to execute template: template: :1: executing \"\" at <.{key}>: can't evaluate field {key}"
            )),
            (_, Subject::Row) => Error::new(format!("failed to execute template: {}", words(&e))),
            (TemplateError::MissingKey { key }, _) => {
                let (line, column, path) = place(&self.source, key);
                Error::new(format!(
                    "template parsing error: template: :{line}:{column}: executing \"\" at <{path}>: map has no entry for key \"{key}\""
                ))
            }
            _ => Error::new(format!("template parsing error: {}", words(&e))),
        };
        let value = gotmpl::to_value(data).map_err(failed)?;
        if let Ok(mut slot) = self.labels.lock() {
            *slot = gotmpl::to_value(labels).map_err(failed)?;
        }
        match self.inner.execute_template_to_string(MAIN, &value) {
            Err(TemplateError::MissingKey { key }) if self.asks_a_map(&key) => {
                self.lenient.execute_template_to_string(MAIN, &value).map_err(failed)
            }
            filled => filled.map_err(failed),
        }
    }

    /// Whether this key is one that people choose: to Docker its absence is no value, that of a field is a mistake.
    fn asks_a_map(&self, key: &str) -> bool {
        MAPS.iter().any(|map| {
            let path = format!(".{map}.{key}");
            let mut after = self.source.match_indices(&path).map(|(at, _)| &self.source[at + path.len()..]);
            after.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_')))
        })
    }
}

/// An error in Go's words, where it has them.
fn words(error: &TemplateError) -> String {
    format!("template: :{}", error.to_string().trim_start_matches("template: "))
}

/// Where a template asks for a key, as Go counts: the line, the column of the key's dot, and the path that ends with it.
fn place(source: &str, key: &str) -> (usize, usize, String) {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let wanted = format!(".{key}");
    let mut found = source.match_indices(&wanted).map(|(at, _)| at);
    let Some(at) = found.find(|at| !source[at + wanted.len()..].starts_with(is_name)) else {
        return (1, 0, wanted);
    };
    let before = &source[..at];
    let start = before.rfind(|c| !is_name(c) && c != '.').map_or(0, |last| last + 1);
    let column = at - before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, column, source[start..at + wanted.len()].to_owned())
}

/// `.Label "x"` is a method of Docker's rows; here it becomes a call of a function.
fn methods(tree: &mut ListNode) {
    for node in &mut tree.nodes {
        match node {
            Node::List(list) => methods(list),
            Node::Action(action) => pipe(&mut action.pipe),
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                pipe(&mut branch.pipe);
                methods(&mut branch.body);
                branch.else_body.iter_mut().for_each(methods);
            }
            Node::Template(template) => template.pipe.iter_mut().for_each(pipe),
            Node::Define(_) | Node::Text(_) | Node::Break(_) | Node::Continue(_) => {}
        }
    }
}

fn pipe(pipe: &mut PipeNode) {
    for command in &mut pipe.commands {
        for argument in &mut command.args {
            if let Expr::Pipe(_, inner) = argument {
                self::pipe(inner);
            }
        }
        label(command);
    }
}

fn label(command: &mut CommandNode) {
    let with_arguments = command.args.len() > 1;
    if let Some(Expr::Field(position, names)) = command.args.first()
        && names.len() == 1
        && names[0].as_str() == "Label"
        && with_arguments
    {
        command.args[0] = Expr::Identifier(*position, LABEL.into());
    }
}

type Answer = gotmpl::Result<Value>;

fn functions(
    template: gotmpl::Template,
    subject: Subject,
    (labels, order): (&Arc<Mutex<Value>>, &Arc<Mutex<Order>>),
) -> gotmpl::Template {
    let (labels, order) = (Arc::clone(labels), Arc::clone(order));
    let template = template.func("pad", pad).func(LABEL, move |args| {
        let key = text(args, 0)?;
        let labels = labels.lock().map_err(|_| TemplateError::Exec("labels are lost".to_owned()))?;
        Ok(labels.field(&key).cloned().unwrap_or_else(|| string("")))
    });
    if subject == Subject::Headings {
        let same = |args: &[Value]| Ok(args.first().cloned().unwrap_or(Value::Nil));
        return ["json", "split", "join", "title", "lower", "upper", "truncate"]
            .into_iter()
            .fold(template, |template, name| template.func(name, same));
    }
    template
        .func("json", move |args| {
            let value = args.first().unwrap_or(&Value::Nil);
            let order = order.lock().map_err(|_| wrong("the order of keys is lost"))?;
            let text = order.restore(json(value).to_string());
            let whole_row = subject == Subject::Row && matches!(value, Value::Map(_));
            Ok(string(&if whole_row { escaped(&text) } else { text }))
        })
        .func("split", |args| {
            let (whole, separator) = (text(args, 0)?, text(args, 1)?);
            Ok(Value::List(whole.split(separator.as_str()).map(string).collect()))
        })
        .func("join", |args| {
            let Some(Value::List(items)) = args.first() else {
                return Err(wrong("join wants a list of texts"));
            };
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            Ok(string(&items.join(&text(args, 1)?)))
        })
        .func("title", |args| Ok(string(&title(&text(args, 0)?))))
        .func("lower", |args| Ok(string(&text(args, 0)?.to_lowercase())))
        .func("upper", |args| Ok(string(&text(args, 0)?.to_uppercase())))
        .func("truncate", |args| {
            let (whole, most) = (text(args, 0)?, number(args, 1)?);
            Ok(string(whole.get(..most.min(whole.len())).unwrap_or(&whole)))
        })
}

fn pad(args: &[Value]) -> Answer {
    let (inner, before, after) = (text(args, 0)?, number(args, 1)?, number(args, 2)?);
    if inner.is_empty() {
        return Ok(string(""));
    }
    Ok(string(&format!("{:before$}{inner}{:after$}", "", "")))
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn wrong(reason: &str) -> TemplateError {
    TemplateError::Exec(reason.to_owned())
}

fn text(args: &[Value], index: usize) -> gotmpl::Result<String> {
    match args.get(index) {
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(other) => Err(wrong(&format!("expected string; found {other}"))),
        None => Err(wrong("wrong number of args")),
    }
}

fn number(args: &[Value], index: usize) -> gotmpl::Result<usize> {
    let number = args.get(index).and_then(Value::as_int).ok_or_else(|| wrong("expected an integer"))?;
    usize::try_from(number).map_err(|_| wrong("a length must not be negative"))
}

/// Whole rows are printed by Go's own encoder, which keeps HTML in mind.
fn escaped(text: &str) -> String {
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn title(text: &str) -> String {
    let mut begins = true;
    text.chars()
        .map(|c| {
            let shown = if begins { c.to_ascii_uppercase() } else { c };
            begins = !c.is_alphanumeric() && c != '_' && c != '\'';
            shown
        })
        .collect()
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(text) => text.as_ref().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (key.to_string(), json(value))).collect(),
        _ => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Subject, Template};

    fn check(source: &str, out: &str) {
        let data = json!({
            "Name": "web one", "Empty": "", "Ports": ["a", "b"], "Labels": { "x": "1", "a.b": "2" }, "N": 3,
            "State": { "Running": true, "Code": 0 }, "Nothing": null,
        });
        let template = Template::read(source, Subject::Document).unwrap_or_else(|e| panic!("{source}: {e}"));
        let filled = template.fill_row(&data, &json!({ "com.x": "y" }));
        assert_eq!(filled.unwrap_or_else(|e| e.to_string()), out, "{source}");
    }

    #[test]
    fn fills_in_as_docker_does() {
        for (source, out) in [
            ("{{.Name}}", "web one"),
            ("{{json .Labels}}", "{\"a.b\":\"2\",\"x\":\"1\"}"),
            ("{{json .Nothing}}", "null"),
            ("{{join .Ports \", \"}}", "a, b"),
            ("{{upper .Name}} {{title .Name}} {{lower \"X\"}}", "WEB ONE Web One x"),
            ("{{truncate .Name 3}}|{{pad .Name 1 2}}|{{pad .Empty 1 1}}|", "web| web one  ||"),
            ("{{range split .Name \" \"}}<{{.}}>{{end}}", "<web><one>"),
            ("{{.Label \"com.x\"}}{{.Label \"none\"}}", "y"),
            ("{{if .State.Running}}{{.State.Code}}{{else}}no{{end}}", "0"),
            ("{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}", "a.b=2 x=1 "),
            ("{{index .Labels \"a.b\"}} {{len .Ports}} {{printf \"%d-%s\" .N .Name}}", "2 2 3-web one"),
            ("{{println .Name}}", "web one\n"),
            ("{{.Labels.x}}{{.Labels.gone}}{{if .Labels.gone}}!{{end}}", "1<no value>"),
            (
                "{{.Gone}}",
                "template parsing error: template: :1:2: executing \"\" at <.Gone>: map has no entry for key \"Gone\"",
            ),
            (
                "a\n{{if .State.Gone}}{{end}}",
                "template parsing error: template: :2:11: executing \"\" at <.State.Gone>: map has no entry for key \"Gone\"",
            ),
        ] {
            check(source, out);
        }
        assert!(Template::read("{{.Name", Subject::Row).is_err());
    }

    #[test]
    fn json_keeps_the_order_of_a_text() {
        let template = Template::read("{{json .State}}{{range .List}} {{json .}}{{end}}", Subject::Document);
        let template = template.unwrap_or_else(|e| panic!("{e}"));
        let filled = template.fill_text(br#"{"State":{"Status":"up","Pid":1},"List":[{"b":1,"a":2}]}"#);
        let expected = r#"{"Status":"up","Pid":1} {"b":1,"a":2}"#;
        assert_eq!(filled.unwrap_or_else(|e| e.to_string()), expected);
    }
}
