//! Text in lines of 80 columns.

/// Columns of a line, as many as the smallest terminal has.
pub(super) const WIDTH: usize = 80;

/// Appends `text` in lines of at most [`WIDTH`] columns that begin with `indent` blanks. A word
/// is never cut.
pub(super) fn push_wrapped(out: &mut String, indent: usize, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
}
