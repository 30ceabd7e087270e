//! Running clang and lld so that the same sources give the same bytes in any folder.
//!
//! Every path that could enter an object, an image or a program database is relative to `drivers/` or to the folder of
//! one image, and names of files are said explicitly where a tool would write an absolute one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::table::Image;

const CLANG: &str = "clang-19";
const LINK: &str = "lld-link-19";
const DLLTOOL: &str = "llvm-dlltool-19";
const HEADERS: &str = "/usr/share/mingw-w64/include";
const INSTALL: &str = "apt install clang-19 lld-19 llvm-19 gcc-mingw-w64-x86-64-win32";

/// Linked into each image; the linker drops what an image does not call.
const RUNTIME: &str = "common/crt.c";
/// What lies here is the same in every image.
const SHARED: &str = "common/";
/// A page of a section that is not aligned to pages.
const FILLER: &str = "packed/filler.c";

const COMPILE: &[&str] = &[
    "--target=x86_64-pc-windows-msvc",
    "-ffreestanding",
    "-fms-extensions",
    "-fno-ms-compatibility",
    "-fms-compatibility-version=0",
    "-D_AMD64_",
    // Leaves out the vector intrinsics, which are two thirds of the headers.
    "-D__X86INTRIN_H",
    "-O2",
    "-mno-red-zone",
    "-fno-builtin",
    "-ffunction-sections",
    // Only what the source calls inline is inlined, or functions would leave the section that `alloc_text` names.
    "-fno-inline-functions",
    // Loops stay loops and switches comparisons: the machine code is meant to be read beside the source.
    "-fno-jump-tables",
    "-fno-vectorize",
    "-fno-slp-vectorize",
    "-fasynchronous-unwind-tables",
    "-fasync-exceptions",
    // Names of functions and lines, without the types of ntddk.h: a tenth of the size.
    "-gcodeview",
    "-gline-tables-only",
    // Paths and command lines stay out of the objects.
    "-gno-codeview-command-line",
    "-no-canonical-prefixes",
    "-fdebug-compilation-dir=.",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-#warnings",
    "-Icommon",
];

const LINK_OPTIONS: &[&str] = &[
    "/driver",
    "/subsystem:native,10.00",
    "/entry:DriverEntry",
    "/nodefaultlib",
    "/base:0x140000000",
    "/debug",
    "/pdbaltpath:%_PDB%",
    // lld takes this folder for its own, so the real one stays out of the program database.
    "/pdbsourcepath:drivers",
    "/opt:ref",
    "/release",
    "/Brepro",
    // lld sets neither NOT_PAGED nor DISCARDABLE by itself.
    "/section:.text,ERP",
    "/section:.rdata,RP",
    "/section:.data,RWP",
    "/section:.pdata,RP",
    "/section:INIT,ERD",
];

/// The tools, with the import libraries made.
pub(crate) struct Toolchain {
    sources: PathBuf,
    work: PathBuf,
    libraries: Vec<String>,
}

impl Toolchain {
    /// Checks that the tools are there and turns `import/*.def` into libraries in `work/import`.
    pub(crate) fn prepare(sources: &Path, work: &Path) -> Result<Toolchain> {
        check_installed()?;
        let folder = work.join("import");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut libraries = Vec::new();
        for definition in definitions(&sources.join("import"))? {
            let library = format!("../import/{}.lib", definition.file_stem().unwrap_or_default().display());
            let mut dlltool = Command::new(DLLTOOL);
            dlltool.args(["-m", "i386:x86-64", "-l", &library, "-d"]).arg(&definition).current_dir(&folder);
            execute(&mut dlltool)?;
            libraries.push(library);
        }
        Ok(Toolchain { sources: sources.to_path_buf(), work: work.to_path_buf(), libraries })
    }

    /// Compiles one object. Objects are shared between images.
    pub(crate) fn compile(&self, object: &Object) -> Result<()> {
        let folder = self.work.join("objects");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let file = object.file();
        let mut clang = Command::new(CLANG);
        clang.args(COMPILE).args(["-isystem", HEADERS, "-isystem", &format!("{HEADERS}/ddk")]);
        clang.args(object.defines.iter().map(|define| format!("-D{define}")));
        clang.args(&object.options);
        clang.args(["-Xclang", &format!("-object-file-name={file}")]);
        clang.args(["-c", &object.source, "-o"]).arg(folder.join(&file)).current_dir(&self.sources);
        execute(&mut clang).with_context(|| format!("compiling drivers/{}", object.source))
    }

    /// Links an image in a folder of its own and returns the path of its `.sys`; `.pdb` and `.map` lie beside it.
    pub(crate) fn link(&self, image: &Image) -> Result<PathBuf> {
        let folder = self.work.join(image.output.replace('/', "-"));
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let stem = Path::new(&image.output).file_name().with_context(|| format!("{} names no file", image.output))?;
        let name = stem.display();
        let mut link = Command::new(LINK);
        link.args(LINK_OPTIONS).args(&image.link);
        link.args(objects(image).iter().map(|object| format!("../objects/{}", object.file()))).args(&self.libraries);
        link.args([format!("/out:{name}.sys"), format!("/map:{name}.map")]).current_dir(&folder);
        execute(&mut link)?;
        Ok(folder.join(format!("{name}.sys")))
    }
}

/// A source and how it is compiled.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    source: String,
    defines: Vec<String>,
    options: Vec<String>,
}

impl Object {
    fn file(&self) -> String {
        let source = self.source.trim_end_matches(".c").replace('/', "-");
        let parts: Vec<&str> =
            [source.as_str()].into_iter().chain(self.defines.iter().chain(&self.options).map(String::as_str)).collect();
        format!("{}.obj", parts.join("-"))
    }
}

/// The objects of an image, in the order of the linker's command line. What all images share is compiled without their
/// defines, and so once.
pub(crate) fn objects(image: &Image) -> Vec<Object> {
    let sources = image.sources.iter().map(String::as_str).chain([RUNTIME]);
    let object = |source: &str| {
        let shared = source.starts_with(SHARED);
        let own = |options: &[String]| if shared { Vec::new() } else { options.to_vec() };
        Object { source: source.to_owned(), defines: own(&image.defines), options: own(&image.compile) }
    };
    let fillers = |end: &'static str| image.filled.iter().map(move |section| filler(section, end));
    fillers("START").chain(sources.map(object)).chain(fillers("END")).collect()
}

/// Sections of one name are one where their flags are the same, too; files are taken once, so that each end has its own.
fn filler(section: &str, end: &str) -> Object {
    let flags = match section {
        "INIT" => "xrD",
        _ if section.contains("DATA") => "dw",
        _ => "xr",
    };
    let defines = vec![format!("SECTION={section}"), format!("FLAGS={flags}"), end.to_owned()];
    Object { source: FILLER.to_owned(), defines, options: Vec::new() }
}

fn check_installed() -> Result<()> {
    for tool in [CLANG, LINK, DLLTOOL] {
        let found = Command::new(tool).arg("--version").output().is_ok();
        ensure!(found, "`{tool}` is not installed; on Debian: {INSTALL}");
    }
    ensure!(Path::new(HEADERS).join("ddk/ntddk.h").exists(), "no driver headers in {HEADERS}; on Debian: {INSTALL}");
    Ok(())
}

fn definitions(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "def"));
    paths.sort();
    Ok(paths)
}

fn execute(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}
