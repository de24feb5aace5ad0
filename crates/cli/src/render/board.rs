//! Progress as people watch it: on a terminal a line per layer with a bar, a rate, and the sum of all at the bottom; elsewhere plain
//! lines as they come, without the steps in between.

use serde_json::Value;

/// Characters in a full bar.
const BAR: usize = 40;
/// Narrower terminals get numbers only.
const WIDE: usize = 100;

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Lines that can be reached with the cursor.
    pub(crate) rows: usize,
    /// Characters in a line.
    pub(crate) columns: usize,
}

/// What was drawn so far.
pub(crate) struct Board {
    screen: Option<Screen>,
    lines: Vec<Line>,
    moved: u64,
    since_ms: Option<u64>,
}

/// One layer's line.
struct Line {
    id: String,
    status: String,
    began_ms: u64,
    began_at: u64,
    current: u64,
}

impl Board {
    /// An empty one; without a screen, for files and pipes.
    pub(crate) fn new(screen: Option<Screen>) -> Self {
        Self { screen, lines: Vec::new(), moved: 0, since_ms: None }
    }

    /// What to print for a message of the daemon's that came at this moment.
    pub(crate) fn take(&mut self, message: &Value, now_ms: u64) -> String {
        if let Some(text) = message["stream"].as_str().filter(|text| !text.is_empty()) {
            return self.end() + text;
        }
        let field = |name: &str| message[name].as_str().unwrap_or_default();
        let (id, status) = (clean(field("id")), clean(field("status")));
        let detail = &message["progressDetail"];
        let number = |name: &str| detail[name].as_u64().unwrap_or_default();
        let (current, total) = (number("current"), number("total"));
        if status.is_empty() && current == 0 && total == 0 {
            return String::new();
        }
        let head = if id.is_empty() { status.clone() } else { format!("{id}: {status}") };
        let Some(screen) = self.screen else {
            return if current > 0 || total > 0 { String::new() } else { format!("{head}\n") };
        };
        if id.is_empty() || !detail.is_object() {
            return self.end() + &head + "\n";
        }
        let (index, is_new) = self.line(&id, &status, current, now_ms);
        let shown = self.lines[index].print(screen, total, now_ms);
        self.draw(screen, index, is_new, &shown, now_ms)
    }

    /// What ends the block that is drawn over: the sum at the bottom goes, what is above it stays.
    pub(crate) fn end(&mut self) -> String {
        let drawn = self.screen.is_some() && !self.lines.is_empty();
        self.lines.clear();
        (self.moved, self.since_ms) = (0, None);
        if drawn { "\x1b[2K\r".to_owned() } else { String::new() }
    }

    /// The line of a layer, with what has moved since it was drawn last.
    fn line(&mut self, id: &str, status: &str, current: u64, now_ms: u64) -> (usize, bool) {
        let found = self.lines.iter().position(|line| line.id == id);
        let index = found.unwrap_or(self.lines.len());
        if found.is_none() {
            self.lines.push(Line {
                id: id.to_owned(),
                status: String::new(),
                began_ms: now_ms,
                began_at: 0,
                current: 0,
            });
        }
        let line = &mut self.lines[index];
        if line.status != status {
            // What was there when a step began, as of a download that is taken up again, did not move in it.
            *line = Line {
                id: id.to_owned(),
                status: status.to_owned(),
                began_ms: now_ms,
                began_at: current,
                current,
            };
        } else if current > line.current {
            if is_transfer(status) {
                self.moved += current - line.current;
                self.since_ms.get_or_insert(line.began_ms);
            }
            line.current = current;
        }
        (index, found.is_none())
    }

    /// Draws one line where it belongs, and the sum below all. The cursor waits at the beginning of the sum's line.
    fn draw(&self, screen: Screen, index: usize, is_new: bool, shown: &str, now_ms: u64) -> String {
        let text = cut(shown, screen.columns);
        let sum = cut(&self.sum(now_ms), screen.columns);
        if is_new {
            return format!("\x1b[2K{text}\n\x1b[2K{sum}\r");
        }
        let up = self.lines.len() - index;
        if up >= screen.rows {
            return format!("\x1b[2K{sum}\r");
        }
        format!("\x1b[{up}A\x1b[2K{text}\r\x1b[{up}B\x1b[2K{sum}\r")
    }

    fn sum(&self, now_ms: u64) -> String {
        let Some(since) = self.since_ms.filter(|_| self.lines.len() > 1) else { return String::new() };
        let moving = self.lines.iter().filter(|line| is_transfer(&line.status)).count();
        if moving == 0 {
            return String::new();
        }
        format!("Total: {}{}", bytes(self.moved), rate(self.moved, now_ms - since.min(now_ms)))
    }
}

impl Line {
    fn print(&self, screen: Screen, total: u64, now_ms: u64) -> String {
        let head = format!("{}: {}", self.id, self.status);
        let current = self.current;
        if current == 0 && total == 0 {
            return head;
        }
        let elapsed = now_ms - self.began_ms.min(now_ms);
        let moved = current - self.began_at.min(current);
        let rate = if is_transfer(&self.status) { rate(moved, elapsed) } else { String::new() };
        if total == 0 || current > total {
            return format!("{head} {}{rate}", bytes(current));
        }
        let full = usize::try_from(u128::from(current) * BAR as u128 / u128::from(total)).unwrap_or(BAR);
        let bar = if screen.columns < WIDE {
            String::new()
        } else {
            format!("[{}>{}] ", "=".repeat(full), " ".repeat(BAR - full))
        };
        format!("{head} {bar}{}/{}{rate}", bytes(current), bytes(total))
    }
}

/// Steps whose bytes go over the network.
fn is_transfer(status: &str) -> bool {
    matches!(status, "Downloading" | "Pushing")
}

fn bytes(count: u64) -> String {
    types::print_bytes_decimal(count)
}

/// ` 12.3MB/s`, once it means something.
fn rate(moved: u64, elapsed_ms: u64) -> String {
    if elapsed_ms < 200 || moved == 0 {
        return String::new();
    }
    let per_second = u128::from(moved) * 1000 / u128::from(elapsed_ms);
    format!(" {}/s", bytes(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// Without control characters: a registry's words must not move the cursor.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// What fits on a line: one that is folded would break the count of lines.
fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns.max(1)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WIDE_SCREEN: Screen = Screen { rows: 24, columns: 120 };

    fn step(id: &str, status: &str, current: u64, total: u64) -> Value {
        json!({ "id": id, "status": status, "progressDetail": { "current": current, "total": total } })
    }

    #[test]
    fn plain_lines_without_a_terminal() {
        let mut board = Board::new(None);
        for (message, text) in [
            (
                json!({ "status": "Pulling from library/x", "id": "latest" }),
                "latest: Pulling from library/x\n",
            ),
            (
                json!({ "status": "Pulling fs layer", "id": "ab", "progressDetail": {} }),
                "ab: Pulling fs layer\n",
            ),
            (step("ab", "Downloading", 1, 2), ""),
            (json!({ "status": "Pull complete", "id": "ab", "progressDetail": {} }), "ab: Pull complete\n"),
            (json!({ "status": "Digest: sha256:ab" }), "Digest: sha256:ab\n"),
            (json!({ "stream": "Loaded image: x\n" }), "Loaded image: x\n"),
            (json!({ "aux": { "Tag": "x" } }), ""),
        ] {
            assert_eq!(board.take(&message, 0), text, "{message}");
        }
    }

    #[test]
    fn lines_are_drawn_over() {
        let mut board = Board::new(Some(WIDE_SCREEN));
        assert_eq!(board.take(&step("ab", "Downloading", 0, 0), 0), "\x1b[2Kab: Downloading\n\x1b[2K\r");
        assert_eq!(board.take(&step("cd", "Waiting", 0, 0), 0), "\x1b[2Kcd: Waiting\n\x1b[2K\r");
        let bar = format!("[{}>{}]", "=".repeat(20), " ".repeat(20));
        assert_eq!(
            board.take(&step("ab", "Downloading", 1_000_000, 2_000_000), 1000),
            format!("\x1b[2A\x1b[2Kab: Downloading {bar} 1MB/2MB 1MB/s\r\x1b[2B\x1b[2KTotal: 1MB 1MB/s\r")
        );
        assert_eq!(board.take(&json!({ "status": "Digest: x" }), 2000), "\x1b[2K\rDigest: x\n");
        assert_eq!(board.take(&json!({ "status": "Status: y" }), 2000), "Status: y\n");
    }

    #[test]
    fn what_was_there_before_is_no_rate() {
        let mut board = Board::new(Some(Screen { rows: 24, columns: 60 }));
        board.take(&step("ab", "Downloading", 900, 1000), 0);
        assert!(board.take(&step("ab", "Downloading", 1000, 1000), 1000).contains("1kB/1kB 100B/s"));
    }

    #[test]
    fn narrow_and_low_screens() {
        let mut board = Board::new(Some(Screen { rows: 2, columns: 10 }));
        assert_eq!(board.take(&step("a", "Downloading", 1, 2), 0), "\x1b[2Ka: Downloa\n\x1b[2K\r");
        board.take(&step("b", "Downloading", 1, 2), 0);
        assert!(!board.take(&step("a", "Downloading", 2, 2), 0).contains('A'), "out of the cursor's reach");
        assert_eq!(board.take(&json!({ "status": "x\x1b[2Jy" }), 0), "\x1b[2K\rx[2Jy\n");
    }
}
