//! Did each function and variable land in the section that `drivers.toml` says? `alloc_text` after a definition and a
//! misspelt `data_seg` fail silently, and an image of the wrong shape shows the wrong thing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::read::pe::PeFile64;
use object::{Object, ObjectSection};

use super::table::{Image, Placement};

/// Symbol to the one-based number of its section.
type Symbols = BTreeMap<String, usize>;

/// Compares the built image and its linker map with the table.
pub(crate) fn verify(image: &Image, sys: &Path) -> Result<()> {
    let map = sys.with_extension("map");
    let symbols = symbols(&fs::read_to_string(&map).with_context(|| format!("reading {}", map.display()))?);
    let sections = section_names(&fs::read(sys).with_context(|| format!("reading {}", sys.display()))?)?;
    let problems = problems(&image.place, &symbols, &sections);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

fn section_names(sys: &[u8]) -> Result<Vec<String>> {
    let pe = PeFile64::parse(sys)?;
    pe.sections().map(|section| Ok(section.name()?.to_owned())).collect()
}

/// The lines of a linker map that read ` 0001:00000010  Name  ...`; lines of its section table have no address there.
fn symbols(map: &str) -> Symbols {
    map.lines().filter_map(symbol).collect()
}

fn symbol(line: &str) -> Option<(String, usize)> {
    let mut words = line.split_whitespace();
    let (section, offset) = words.next()?.split_once(':')?;
    let name = words.next()?;
    let address = words.next()?;
    (offset.len() == 8 && address.len() == 16).then_some(())?;
    Some((name.to_owned(), usize::from_str_radix(section, 16).ok()?))
}

fn problems(place: &Placement, symbols: &Symbols, sections: &[String]) -> Vec<String> {
    let wanted = place.iter().flat_map(|(section, names)| names.iter().map(move |name| (section, name)));
    wanted
        .filter_map(|(section, name)| {
            let number = symbols.get(name);
            let actual = number.and_then(|n| n.checked_sub(1)).and_then(|index| sections.get(index));
            match actual {
                None => Some(format!("`{name}` is not in the image: misspelt, unused or inlined")),
                Some(actual) if actual != section => Some(format!("`{name}` lies in {actual}, not in {section}")),
                Some(_) => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = " 0002:00000000 00000010H .data                   DATA\n\
        \n 0001:00000010       Read                       0000000140001010     request.obj\n\
        \n 0002:00000000       Foo                        0000000140002000     u.obj\n";

    #[test]
    fn reads_symbols_and_not_sections() {
        assert_eq!(symbols(MAP), Symbols::from([("Read".to_owned(), 1), ("Foo".to_owned(), 2)]));
    }

    #[test]
    fn names_what_is_misplaced_or_missing() {
        let place: Placement = toml::from_str("PAGE = ['Read', 'Foo', 'Gone']").expect("a valid table");
        let found = problems(&place, &symbols(MAP), &["PAGE".to_owned(), ".data".to_owned()]);
        assert_eq!(
            found,
            ["`Foo` lies in .data, not in PAGE", "`Gone` is not in the image: misspelt, unused or inlined"]
        );
    }
}
