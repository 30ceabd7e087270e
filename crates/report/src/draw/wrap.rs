//! Wrapping at blanks, but never inside backticks: a command or name stays in one piece.

/// The lines of `text`, each at most `width` columns unless a single piece is longer.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in pieces(text) {
        let line = lines.last_mut().expect("never empty");
        if line.is_empty() {
            line.push_str(&piece);
        } else if line.chars().count() + 1 + piece.chars().count() <= width {
            line.push(' ');
            line.push_str(&piece);
        } else {
            lines.push(piece);
        }
    }
    lines
}

/// Words, where what stands in backticks counts as one word.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        quoted ^= character == '`';
        match pieces.last_mut() {
            Some(piece) if character != ' ' || quoted => piece.push(character),
            _ => pieces.push(String::new()),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn breaks_at_blanks_but_not_in_backticks() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("see `aa bb cc` dd", 6), ["see", "`aa bb cc`", "dd"]);
        assert_eq!(wrap("", 6), [""]);
    }
}
