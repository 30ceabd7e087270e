//! Everything about an image as text.

use std::fmt::{Result, Write};

use driver_image::pageability::{DiscardMode, discard_set, load_map, page_map};
use driver_image::unwind::UnwindInfo;
use driver_image::{Directory, Image};

const DIRECTORIES: [Directory; 9] = [
    Directory::Export,
    Directory::Import,
    Directory::Resource,
    Directory::Exception,
    Directory::Security,
    Directory::BaseRelocation,
    Directory::Debug,
    Directory::LoadConfig,
    Directory::ImportAddressTable,
];

/// The image as text, for comparison with a file.
pub(crate) fn dump(image: &Image) -> String {
    let mut out = String::new();
    let parts = [headers, sections, pages, tables, unwind_data, details];
    parts.iter().for_each(|part| part(image, &mut out).expect("writing to a string cannot fail"));
    out
}

fn headers(image: &Image, out: &mut String) -> Result {
    let headers = image.headers();
    writeln!(out, "base {} size {:#x}", headers.preferred_base, headers.size_of_image)?;
    writeln!(out, "headers {:#x} entry {:?}", headers.size_of_headers, headers.entry_point)?;
    writeln!(out, "alignment {:#x} file {:#x}", headers.section_alignment, headers.file_alignment)?;
    writeln!(out, "characteristics {:#x} dll {:#x}", headers.characteristics, headers.dll_characteristics)?;
    writeln!(out, "checksum {:#x} timestamp {:#x}", headers.checksum, headers.timestamp)?;
    for directory in DIRECTORIES.into_iter().filter(|&directory| !headers.directory(directory).is_absent()) {
        let place = headers.directory(directory);
        writeln!(out, "{directory} at {} size {:#x}", place.rva, place.size)?;
    }
    Ok(())
}

fn sections(image: &Image, out: &mut String) -> Result {
    writeln!(out, "\nsections")?;
    for (index, section) in image.sections().iter().enumerate() {
        let (name, start, flags) = (section.name(), section.rva, section.flags.0);
        let (raw, size, offset) = (section.raw_size, section.virtual_size, section.raw_offset);
        writeln!(out, "{index} {name:8} {start} virtual {size:#x} raw {raw:#x} at {offset:#x} flags {flags:#010x}")?;
    }
    Ok(())
}

fn pages(image: &Image, out: &mut String) -> Result {
    let (headers, sections) = (image.headers(), image.sections());
    writeln!(out, "\nload map {:?}", load_map(headers, sections).ranges())?;
    for mode in [DiscardMode::Documented, DiscardMode::Tail] {
        let set = discard_set(headers, sections, mode);
        writeln!(out, "discard {mode:?} sections {:?} pages {:?}", set.sections, set.pages.ranges())?;
        writeln!(out, "    kept bytes {:?}", set.kept_bytes(sections))?;
    }
    for page in page_map(headers, sections, DiscardMode::Documented) {
        let flag = |set, letter| if set { letter } else { '-' };
        let allows = page.protection;
        let [r, w, x] = [flag(allows.read, 'r'), flag(allows.write, 'w'), flag(allows.execute, 'x')];
        writeln!(out, "page {} {r}{w}{x} {:?} sections {:?}", page.page, page.class, page.sections)?;
    }
    Ok(())
}

fn tables(image: &Image, out: &mut String) -> Result {
    for module in image.imports() {
        writeln!(out, "\nimports from {}", module.name)?;
        for import in &module.imports {
            writeln!(out, "{} {}", import.slot, import.symbol)?;
        }
    }
    let exports = image.exports().expect("the export directory is well-formed");
    writeln!(out, "\nexports of {:?}", exports.module)?;
    for (name, target) in exports.named() {
        writeln!(out, "{name} {target:?}")?;
    }
    writeln!(out, "\nrelocations {:?}", image.relocations())
}

fn unwind_data(image: &Image, out: &mut String) -> Result {
    writeln!(out, "\nfunctions")?;
    for function in image.functions().expect("the function table is well-formed") {
        let info = UnwindInfo::read(&mut image.clone(), function.unwind_info).expect("unwind data is well-formed");
        writeln!(
            out,
            "{} to {} version {} prolog {:#x}",
            function.begin, function.end, info.version, info.prolog_size
        )?;
        writeln!(out, "    frame {:?} epilogs {:?}", info.frame, info.epilogs)?;
        for code in &info.codes {
            writeln!(out, "    {:#x} {:?}", code.prolog_offset, code.operation)?;
        }
        writeln!(out, "    {:?}", info.tail)?;
    }
    Ok(())
}

fn details(image: &Image, out: &mut String) -> Result {
    writeln!(out, "\n{:#?}", image.load_config().expect("the load configuration is well-formed"))?;
    writeln!(out, "{:#?}", image.version().expect("the version resource is well-formed"))?;
    let reference = image.pdb_reference().expect("the debug directory is well-formed");
    writeln!(out, "{:?}", reference.map(|reference| format!("{} {}", reference.path, reference.id)))
}
