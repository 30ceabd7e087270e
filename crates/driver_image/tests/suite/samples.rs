//! What the tools made of the sample drivers: pragmas, linker options, build kinds.

use std::fs;
use std::path::{Path, PathBuf};

use driver_image::symbols::Symbols;
use driver_image::{Image, ImportedSymbol, Section, SectionFlags};
use nt_types::PAGE_SIZE;

fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers")
}

/// A sample driver and the names in its PDB: its path below `drivers/`, without extension.
fn sample(path: &str) -> (Image, Symbols) {
    let read = |extension| fs::read(drivers().join(path).with_extension(extension)).expect("it is committed");
    let image = Image::parse(read("sys")).expect("it is well formed");
    let symbols = Symbols::from_pdb(&image, &read("pdb")).expect("the PDB belongs to it");
    (image, symbols)
}

/// All sample drivers, with their names.
fn all() -> Vec<(String, Image)> {
    let folders = fs::read_dir(drivers()).expect("it can be read").map(|entry| entry.expect("it can be read").path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| fs::read_dir(folder).expect("it can be read"));
    let files = files.map(|entry| entry.expect("it can be read").path());
    let images = files.filter(|path| path.extension().is_some_and(|extension| extension == "sys"));
    images
        .map(|path| {
            let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
            (name, Image::parse(fs::read(&path).expect("it can be read")).expect("it is well formed"))
        })
        .collect()
}

/// The section that holds a function or variable.
fn home<'a>((image, symbols): &'a (Image, Symbols), name: &str) -> &'a Section {
    let rva = symbols.find(name).unwrap_or_else(|| panic!("`{name}` is not in the PDB"));
    &image.sections()[image.section_at(rva).expect("it lies in a section")]
}

/// The sections of that name.
fn named<'a>(image: &'a Image, name: &str) -> Vec<&'a Section> {
    image.sections().iter().filter(|section| section.name() == name).collect()
}

/// R33: `alloc_text` between declaration and definition places a function, in any of several sections.
#[test]
fn r33_alloc_text_places_functions() {
    let serial = sample("serial/serial");
    let places = [
        ("DriverEntry", "INIT"),
        ("SerialCreate", "PAGESRP0"),
        ("SerialUnload", "PAGESRP0"),
        ("SerialRead", "PAGESER"),
        ("SerialInterrupt", ".text"),
    ];
    for (function, section) in places {
        assert_eq!(home(&serial, function).name(), section, "{function}");
    }
}

/// R34: `code_seg`, `data_seg`, `bss_seg` and `const_seg` place what follows, and without a name they restore the default.
#[test]
fn r34_segment_pragmas_place_what_follows() {
    let paged_file = sample("broken/x03-helper-in-paged-file");
    assert_eq!(home(&paged_file, "X03Helper").name(), "PAGE", "code_seg");
    assert_eq!(home(&paged_file, "X03Dpc").name(), ".text", "the default is back");
    let (mixer, tables) = (sample("mixer/mixer"), sample("tables/tables"));
    assert_eq!(home(&mixer, "MixerVolumes").name(), "PAGEDATA", "data_seg");
    assert_eq!(home(&mixer, "MixerHistory").name(), "PAGEBSS", "bss_seg");
    assert_eq!(home(&tables, "TableNameAlpha").name(), "PAGECONS", "const_seg");
    assert_eq!(home(&tables, "TableProducts").name(), "PAGEDATA");
}

/// R35, R44: an array of explicit zeros has its bytes in the file, one of implicit zeros only a size in memory, which counts.
#[test]
fn r35_explicit_and_implicit_zeros() {
    const ARRAY: u32 = 3072 * 4;
    let mixer = sample("mixer/mixer");
    let (explicit, implicit) = (home(&mixer, "MixerSamples"), home(&mixer, "MixerHistory"));
    assert_eq!((explicit.name(), implicit.name()), ("PAGEDATA".into(), "PAGEBSS".into()));
    assert!(explicit.raw_size >= ARRAY);
    assert_eq!((implicit.raw_size, implicit.span()), (0, ARRAY));
}

/// R36: the letters P and D of `/SECTION` set the flags; without them they are clear.
#[test]
fn r36_linker_options_set_the_flags() {
    let flags = |path: &str, section: &str| -> Vec<SectionFlags> {
        named(&sample(path).0, section).iter().map(|section| section.flags).collect()
    };
    assert!(flags("layout/layout", "PAGEFLAG")[0].has(SectionFlags::NOT_PAGED));
    assert!(!flags("layout/layout", "PAGEA")[0].has(SectionFlags::NOT_PAGED));
    assert!(flags("init/init-not-last", "BOOTDATA")[0].has(SectionFlags::DISCARDABLE));
    assert!(!flags("init/init-not-last", "PAGE")[0].has(SectionFlags::DISCARDABLE));
}

/// R37: images aligned to 128 bytes have sections that share pages; at page alignment none does.
#[test]
fn r37_sections_share_pages_below_page_alignment() {
    let shared = |image: &Image| {
        let page = |byte: u64| byte / PAGE_SIZE;
        image.sections().windows(2).any(|pair| page(pair[0].end() - 1) == page(pair[1].rva.0.into()))
    };
    let mut dense = 0;
    for (name, image) in all() {
        let below = u64::from(image.headers().section_alignment) < PAGE_SIZE;
        assert_eq!(shared(&image), below, "{name}");
        dense += usize::from(name.ends_with("-a80") && below);
    }
    assert!(dense >= 12, "{dense}");
}

/// R71: no driver imports the lock of code, which is a macro: what calls it imports the lock of data.
#[test]
fn r71_the_lock_of_code_is_the_lock_of_data() {
    let imports = |image: &Image, wanted: &str| {
        let mut imports = image.imports().iter().flat_map(|module| &module.imports);
        imports.any(|import| matches!(&import.symbol, ImportedSymbol::Name { name, .. } if name == wanted))
    };
    for (name, image) in all() {
        assert!(!imports(&image, "MmLockPagableCodeSection"), "{name}");
    }
    assert!(imports(&sample("serial/serial").0, "MmLockPagableDataSection"));
}

/// R30, R32: a checked build has the text of PAGED_CODE in it; no free build has.
#[test]
fn r32_a_free_image_has_no_trace_of_the_macros() {
    const TEXT: &[u8] = b"Pageable code called at IRQL > APC_LEVEL";
    // The checked builds, all of which have the macro somewhere.
    let checked = |name: &str| ["checked", "a03-", "a04-"].iter().any(|prefix| name.starts_with(prefix));
    for (name, image) in all() {
        let found = image.file().windows(TEXT.len()).any(|window| window == TEXT);
        assert_eq!(found, checked(&name), "{name}");
    }
}
