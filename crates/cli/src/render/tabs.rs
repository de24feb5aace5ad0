//! Columns as Go's tabwriter lays them out: a column is a run of lines that have a tab-ended cell there.

/// Space between the widest cell of a column and the next one.
const PADDING: usize = 3;

/// Aligns text whose cells end with tabs. Columns are at least `least` wide.
pub(crate) fn columns(text: &str, least: usize) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut page = Page { lines, least, widths: Vec::new(), out: String::with_capacity(text.len() * 2) };
    let last = page.lines.len();
    page.block(0, last);
    page.out.pop();
    page.out
}

struct Page<'a> {
    lines: Vec<Vec<&'a str>>,
    least: usize,
    widths: Vec<usize>,
    out: String,
}

impl Page<'_> {
    /// Lays out the lines from `first` to `last`, whose columns so far have the widths known.
    fn block(&mut self, mut first: usize, last: usize) {
        let column = self.widths.len();
        let mut line = first;
        while line < last {
            if !self.has_cell(line, column) {
                line += 1;
                continue;
            }
            self.print(first, line);
            first = line;
            while line < last && self.has_cell(line, column) {
                line += 1;
            }
            self.widths.push(self.width(first, line, column));
            self.block(first, line);
            self.widths.pop();
            first = line;
        }
        self.print(first, last);
    }

    fn has_cell(&self, line: usize, column: usize) -> bool {
        column + 1 < self.lines[line].len()
    }

    fn width(&self, first: usize, last: usize, column: usize) -> usize {
        let cells = self.lines[first..last].iter().map(|cells| cells[column].chars().count() + PADDING);
        cells.max().unwrap_or_default().max(self.least)
    }

    fn print(&mut self, first: usize, last: usize) {
        for cells in &self.lines[first..last] {
            for (index, cell) in cells.iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.widths.get(index) {
                    let blanks = width.saturating_sub(cell.chars().count());
                    self.out.extend(std::iter::repeat_n(' ', blanks));
                }
            }
            self.out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn aligns_as_go_does() {
        for (text, out) in [
            ("A\tB\n1\t2\n", "A         B\n1         2\n"),
            ("NAME\tX\nlonger name than ten\ty\n", "NAME                   X\nlonger name than ten   y\n"),
            ("a\tb\tc\nno tabs\nd\te\tf\n", "a         b         c\nno tabs\nd         e         f\n"),
            ("", ""),
            ("x\t\ty\n", "x                   y\n"),
            ("één\ty\n", "één       y\n"),
        ] {
            assert_eq!(columns(text, 10), out, "{text:?}");
        }
    }
}
