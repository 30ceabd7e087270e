//! Paths of files as URI references (RFC 3986, RFC 8089), and relative to the folder with the sources.

/// The folder with the sources of drivers, by the path that it had where they were built: as their PDBs name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceRoot(Parts);

impl SourceRoot {
    /// The folder of this path, of Windows (`d:\src`, `\\server\share\src`) or POSIX (`/src`); `None` if it is relative.
    pub fn new(path: &str) -> Option<SourceRoot> {
        let parts = Parts::of(path);
        (parts.start != Start::Nothing).then_some(SourceRoot(parts))
    }

    /// The path of a file from there, with `/` between folders; `None` if it lies elsewhere. Case does not matter on Windows.
    /// A relative path is taken to begin there: a compiler that is told to write no absolute paths writes such.
    pub(crate) fn below(&self, path: &str) -> Option<String> {
        let (Parts { start, names }, root) = (Parts::of(path), &self.0);
        if start == Start::Nothing {
            return (names.first()? != "..").then(|| names.join("/"));
        }
        let same = |one: &str, other: &str| match start {
            Start::Root => one == other,
            _ => one.to_lowercase() == other.to_lowercase(),
        };
        let is_below = start == root.start
            && names.len() > root.names.len()
            && names.iter().zip(&root.names).all(|(one, other)| same(one, other));
        is_below.then(|| names[root.names.len()..].join("/"))
    }

    /// The folder as a URI, which ends with `/`.
    pub(crate) fn uri(&self) -> String {
        let Parts { start, names } = &self.0;
        let folder: String = names.iter().map(|name| format!("{name}/")).collect();
        let path = match start {
            Start::Drive(drive) => format!("{}:/{folder}", char::from(*drive)),
            Start::Server => format!("//{folder}"),
            Start::Root => format!("/{folder}"),
            Start::Nothing => folder,
        };
        uri(&path)
    }
}

/// A path without `.`, and without `..` as far as they can be resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Parts {
    start: Start,
    names: Vec<String>,
}

/// What a path begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    /// A drive of Windows, as a small letter.
    Drive(u8),
    /// `\\server`.
    Server,
    /// `/`.
    Root,
    /// It is relative.
    Nothing,
}

impl Parts {
    fn of(path: &str) -> Parts {
        let (start, rest) = match path.replace('\\', "/") {
            path if has_drive(&path) => (Start::Drive(path.as_bytes()[0].to_ascii_lowercase()), path[2..].to_owned()),
            path if path.starts_with("//") => (Start::Server, path),
            path if path.starts_with('/') => (Start::Root, path),
            path => (Start::Nothing, path),
        };
        let mut names: Vec<String> = Vec::new();
        for name in rest.split('/').filter(|name| !matches!(*name, "" | ".")) {
            match (name, names.last()) {
                ("..", Some(last)) if last != ".." => _ = names.pop(),
                ("..", None) if start != Start::Nothing => {}
                _ => names.push(name.to_owned()),
            }
        }
        Parts { start, names }
    }
}

/// A path as a URI reference.
pub(crate) fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let drive = has_drive(&path);
    let prefix = match drive {
        true => "file:///",
        false if path.starts_with("//") => "file:",
        false if path.starts_with('/') => "file://",
        false => "",
    };
    let mut uri = prefix.to_owned();
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            b':' if drive && at == 1 => uri.push(':'),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

/// Does a path begin with a drive, such as `d:`?
fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("src/a b.c"), "src/a%20b.c");
        assert_eq!(uri("d:\\x\\y.c"), "file:///d:/x/y.c");
        assert_eq!(uri("/x/y.c"), "file:///x/y.c");
        assert_eq!(uri("\\\\server\\share\\y.c"), "file://server/share/y.c");
        assert_eq!(uri("d:\\x:y"), "file:///d:/x%3Ay");
    }

    #[test]
    fn files_below_the_root_are_relative_to_it() {
        let below = |root: &str, path: &str| SourceRoot::new(root).and_then(|root| root.below(path));
        let is =
            |root, path, expected: Option<&str>| assert_eq!(below(root, path).as_deref(), expected, "{root} {path}");
        is("D:\\a\\Repo", "d:\\A\\repo\\src\\x y.c", Some("src/x y.c"));
        is("d:/a/repo/", "D:\\a\\repo/src\\..\\.\\inc\\x.h", Some("inc/x.h"));
        is("d:\\a\\repo", "d:\\a\\repository\\x.c", None);
        is("d:\\a\\repo", "d:\\a\\repo\\..\\x.c", None);
        is("d:\\a\\repo", "d:\\a\\repo", None);
        is("d:\\", "d:\\x.c", Some("x.c"));
        is("d:\\a", "c:\\a\\x.c", None);
        is("\\\\Server\\share", "//server/SHARE/x.c", Some("x.c"));
        is("/build/repo", "/build/repo/src/x.c", Some("src/x.c"));
        is("/build/repo", "/build/Repo/src/x.c", None);
        is("/build/repo", "d:\\build\\repo\\x.c", None);
        is("/", "/x.c", Some("x.c"));
        is("/build/repo", "src\\x.c", Some("src/x.c"));
        is("/build/repo", "../x.c", None);
        is("d:\\a", "", None);
    }

    #[test]
    fn a_root_is_absolute_and_a_folder() {
        let uri = |root: &str| SourceRoot::new(root).map(|root| root.uri());
        assert_eq!(uri("D:\\a b\\."), Some("file:///d:/a%20b/".to_owned()));
        assert_eq!(uri("/a/b"), Some("file:///a/b/".to_owned()));
        assert_eq!(uri("\\\\server\\share"), Some("file://server/share/".to_owned()));
        assert_eq!(uri("/"), Some("file:///".to_owned()));
        assert_eq!(uri("src"), None);
        assert_eq!(uri(""), None);
    }
}
