//! Several registry values with one call (ddi: RtlQueryRegistryValues): a table of what is wanted, each entry answered
//! into a buffer or through calls of a routine.

use std::collections::VecDeque;

use nt_types::layout::{rtl_query_registry_table as table, unicode_string};
use nt_types::{NtStatus, Va, constants as c};

use super::registry::Named;
use crate::call::{Call, Next, Outcome, Then, Trap};
use crate::export;
use crate::exports::mm::pool::{Block, PoolKind};
use crate::exports::{Export, rtl};
use crate::machine::Machine;
use crate::registry::{KeyId, Value};

#[rustfmt::skip]
pub(super) const EXPORTS: &[Export] = &[
    export!(Ntoskrnl, RtlQueryRegistryValues(relative: u32, path: Va, entries: Va, context: u64, environment: Va; ..), PASSIVE),
    export!(Ntoskrnl, RtlQueryRegistryValuesEx = RtlQueryRegistryValues(relative: u32, path: Va, entries: Va, context: u64, environment: Va; ..), PASSIVE),
];

/// Most entries of a table: one that does not end is an error of the driver that must not hold the machine.
const MAX_ENTRIES: usize = 4096;

/// A query in progress.
#[derive(Clone, Hash, Debug)]
struct Query {
    /// The next entry.
    entry: Va,
    done: usize,
    top: Option<KeyId>,
    key: Option<KeyId>,
    /// Values of the current entry that its routine has not seen.
    pending: VecDeque<Value>,
    routine: Va,
    entry_context: u64,
    context: u64,
    site: Va,
}

/// A routine was called for a value.
#[derive(Clone, Hash, Debug)]
pub struct Reported {
    query: Query,
    blocks: [Va; 2],
}

impl Reported {
    pub(super) fn run(self, m: &mut Machine, result: u64) -> Outcome {
        for block in self.blocks {
            m.pool_free(block);
        }
        let status = NtStatus(result as u32);
        if !status.is_success() && status != NtStatus::BUFFER_TOO_SMALL {
            return Ok(Next::status(status));
        }
        go_on(m, self.query)
    }
}

/// One entry of the table.
struct Entry {
    routine: Va,
    flags: u32,
    name: Option<String>,
    context: u64,
    default_type: u32,
    default_data: Va,
    default_length: u32,
}

impl Entry {
    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// Ends the processing of a table.
enum End {
    Status(NtStatus),
    Trap(Trap),
}

impl From<Trap> for End {
    fn from(trap: Trap) -> End {
        End::Trap(trap)
    }
}

fn RtlQueryRegistryValues(
    m: &mut Machine,
    call: &Call,
    relative: u32,
    path: Va,
    entries: Va,
    context: u64,
    _environment: Va,
) -> Outcome {
    let top = match m.registry_key(relative, path)? {
        Named::Key(key) => Some(key),
        Named::Missing(_) if relative & c::RTL_REGISTRY_OPTIONAL != 0 => None,
        Named::Missing(_) => return Ok(Next::status(NtStatus::OBJECT_NAME_NOT_FOUND)),
        Named::Invalid(status) => return Ok(Next::status(status)),
    };
    let pending = VecDeque::new();
    let (routine, site) = (Va::NULL, call.return_address);
    go_on(m, Query { entry: entries, done: 0, top, key: top, pending, routine, entry_context: 0, context, site })
}

/// Goes through the table until a routine must be called or the table ends.
fn go_on(m: &mut Machine, mut query: Query) -> Outcome {
    loop {
        if let Some(value) = query.pending.pop_front() {
            return report(m, query, &value);
        }
        let entry = read_entry(m, query.entry)?;
        if (entry.routine.is_null() && entry.name.is_none() && !entry.has(c::RTL_QUERY_REGISTRY_SUBKEY))
            || query.done >= MAX_ENTRIES
        {
            return Ok(Next::status(NtStatus::SUCCESS));
        }
        match handle(m, &mut query, &entry) {
            Ok(()) => (query.entry, query.done) = (query.entry + table::SIZEOF, query.done + 1),
            Err(End::Status(status)) => return Ok(Next::status(status)),
            Err(End::Trap(trap)) => return Err(trap),
        }
    }
}

fn read_entry(m: &mut Machine, at: Va) -> Result<Entry, Trap> {
    let name = m.read_va(table::NAME.at(at))?;
    Ok(Entry {
        routine: m.read_va(table::QUERY_ROUTINE.at(at))?,
        flags: m.read_u32(table::FLAGS.at(at))?,
        name: if name.is_null() { None } else { Some(m.read_wide_text(name)?) },
        context: m.read_u64(table::ENTRY_CONTEXT.at(at))?,
        default_type: m.read_u32(table::DEFAULT_TYPE.at(at))?,
        default_data: m.read_va(table::DEFAULT_DATA.at(at))?,
        default_length: m.read_u32(table::DEFAULT_LENGTH.at(at))?,
    })
}

fn handle(m: &mut Machine, query: &mut Query, entry: &Entry) -> Result<(), End> {
    let direct = entry.has(c::RTL_QUERY_REGISTRY_DIRECT);
    if direct && (entry.name.is_none() || !entry.routine.is_null() || entry.has(c::RTL_QUERY_REGISTRY_SUBKEY)) {
        return Err(End::Status(NtStatus::INVALID_PARAMETER));
    }
    if entry.has(c::RTL_QUERY_REGISTRY_SUBKEY | c::RTL_QUERY_REGISTRY_TOPKEY) {
        query.key = query.top;
    }
    if entry.has(c::RTL_QUERY_REGISTRY_SUBKEY) {
        return descend(m, query, entry);
    }
    if entry.has(c::RTL_QUERY_REGISTRY_NOVALUE) {
        let name = entry.name.clone().unwrap_or_default();
        call_later(query, entry, vec![Value { name, kind: c::REG_NONE, data: Vec::new() }]);
        return Ok(());
    }
    let found = found(m, query.key, entry);
    if found.is_empty() && entry.has(c::RTL_QUERY_REGISTRY_REQUIRED) {
        return Err(End::Status(NtStatus::OBJECT_NAME_NOT_FOUND));
    }
    let values =
        if found.is_empty() { default_value(m, entry)?.into_iter().collect() } else { expanded(m, entry, found)? };
    match direct {
        true => values.iter().try_for_each(|value| store(m, query.site, entry, value))?,
        false => call_later(query, entry, values),
    }
    if let (true, Some(key), Some(name)) = (entry.has(c::RTL_QUERY_REGISTRY_DELETE), query.key, &entry.name) {
        m.cm.registry.delete_value(key, name);
    }
    Ok(())
}

fn descend(m: &mut Machine, query: &mut Query, entry: &Entry) -> Result<(), End> {
    let Some(name) = &entry.name else { return Err(End::Status(NtStatus::INVALID_PARAMETER)) };
    query.key = query.top.and_then(|top| m.cm.registry.find_below(top, name));
    if query.key.is_none() && entry.has(c::RTL_QUERY_REGISTRY_REQUIRED) {
        return Err(End::Status(NtStatus::OBJECT_NAME_NOT_FOUND));
    }
    if let (false, Some(key)) = (entry.routine.is_null(), query.key) {
        let values = m.cm.registry.values(key).to_vec();
        call_later(query, entry, values);
    }
    Ok(())
}

fn call_later(query: &mut Query, entry: &Entry, values: Vec<Value>) {
    (query.routine, query.entry_context) = (entry.routine, entry.context);
    query.pending = values.into();
}

/// The values that an entry names: one, or without a name all of the key.
fn found(m: &Machine, key: Option<KeyId>, entry: &Entry) -> Vec<Value> {
    let Some(key) = key else { return Vec::new() };
    match &entry.name {
        Some(name) => m.cm.registry.value(key, name).cloned().into_iter().collect(),
        None => m.cm.registry.values(key).to_vec(),
    }
}

fn default_value(m: &mut Machine, entry: &Entry) -> Result<Option<Value>, End> {
    let kind = entry.default_type & 0xff;
    let Some(name) = entry.name.clone().filter(|_| kind != c::REG_NONE) else { return Ok(None) };
    let is_text = matches!(kind, c::REG_SZ | c::REG_EXPAND_SZ);
    let data = match entry.default_length {
        0 if is_text && !entry.default_data.is_null() => super::units(&m.read_wide_text(entry.default_data)?),
        length => m.read_bytes(entry.default_data, length.into())?,
    };
    Ok(Some(Value { name, kind, data }))
}

/// Without RTL_QUERY_REGISTRY_NOEXPAND a routine sees each string of a REG_MULTI_SZ by itself. Environment variables,
/// which drivers are told not to use, are not modelled.
fn expanded(m: &mut Machine, entry: &Entry, values: Vec<Value>) -> Result<Vec<Value>, End> {
    if entry.has(c::RTL_QUERY_REGISTRY_NOEXPAND) {
        return Ok(values);
    }
    let mut all = Vec::new();
    for value in values {
        match value.kind {
            c::REG_MULTI_SZ if entry.has(c::RTL_QUERY_REGISTRY_DIRECT) => {
                return Err(End::Status(NtStatus::INVALID_PARAMETER));
            }
            c::REG_MULTI_SZ => {
                let texts = super::strings_of(&value.data);
                all.extend(texts.iter().map(|text| Value::string(&value.name, text)));
            }
            c::REG_EXPAND_SZ if value.data.chunks_exact(2).any(|unit| unit == [b'%', 0]) => {
                let what = "a REG_EXPAND_SZ value with environment variables";
                return Err(End::Trap(m.refuse("RtlQueryRegistryValues", what)));
            }
            _ => all.push(value),
        }
    }
    Ok(all)
}

/// Answers an entry with RTL_QUERY_REGISTRY_DIRECT.
fn store(m: &mut Machine, site: Va, entry: &Entry, value: &Value) -> Result<(), End> {
    let expected = entry.default_type >> c::RTL_QUERY_REGISTRY_TYPECHECK_SHIFT;
    if entry.has(c::RTL_QUERY_REGISTRY_TYPECHECK) && expected != value.kind {
        return Err(End::Status(NtStatus::OBJECT_TYPE_MISMATCH));
    }
    let target = Va(entry.context);
    match value.kind {
        c::REG_SZ | c::REG_EXPAND_SZ | c::REG_MULTI_SZ => store_text(m, site, target, value),
        _ if value.data.len() <= 4 => Ok(m.write_bytes(target, &value.data)?),
        _ => store_sized(m, target, value),
    }
}

fn store_text(m: &mut Machine, site: Va, string: Va, value: &Value) -> Result<(), End> {
    let size = value.data.len().min(0xFFFE) as u16;
    let data = &value.data[..usize::from(size)];
    let mut buffer = m.read_va(unicode_string::BUFFER.at(string))?;
    let room = m.read_u16(unicode_string::MAXIMUM_LENGTH.at(string))?;
    if buffer.is_null() {
        let block = Block { bytes: size.into(), kind: PoolKind::Paged, tag: *b"UqeR", site };
        buffer = m.pool_allocate_resident(block)?.ok_or(End::Status(NtStatus::INSUFFICIENT_RESOURCES))?;
        m.write_u16(unicode_string::MAXIMUM_LENGTH.at(string), size)?;
        m.write_u64(unicode_string::BUFFER.at(string), buffer.0)?;
    } else if room < size {
        return Err(End::Status(NtStatus::BUFFER_TOO_SMALL));
    }
    m.write_bytes(buffer, data)?;
    let terminator = if data.ends_with(&[0, 0]) { 2 } else { 0 };
    m.write_u16(unicode_string::LENGTH.at(string), size - terminator)?;
    Ok(())
}

/// A buffer that begins with its size: negative where only the data is wanted.
fn store_sized(m: &mut Machine, target: Va, value: &Value) -> Result<(), End> {
    let size = m.read_u32(target)? as i32;
    let length = value.data.len() as u64;
    let header = if size < 0 { 0 } else { 8 };
    if u64::from(size.unsigned_abs()) < length + header {
        return Err(End::Status(NtStatus::BUFFER_TOO_SMALL));
    }
    if size >= 0 {
        m.write_u32(target, length as u32)?;
        m.write_u32(target + 4, value.kind)?;
    }
    Ok(m.write_bytes(target + header, &value.data)?)
}

/// Calls the routine of the current entry for one value.
fn report(m: &mut Machine, query: Query, value: &Value) -> Outcome {
    let name = super::units(&value.name);
    let no_data = value.kind == c::REG_NONE && value.data.is_empty();
    let (name_block, data_block) =
        (m.kernel_object(name.len() as u64, *b"UqeR"), m.kernel_object(value.data.len() as u64, *b"UqeR"));
    let (Some(name_block), Some(data_block)) = (name_block, data_block) else {
        return Ok(Next::status(NtStatus::INSUFFICIENT_RESOURCES));
    };
    m.write_bytes(name_block, &name)?;
    m.write_bytes(data_block, &value.data)?;
    let data = if no_data { 0 } else { data_block.0 };
    let arguments =
        [name_block.0, value.kind.into(), data, value.data.len() as u64, query.context, query.entry_context];
    let routine = query.routine;
    let reported = Reported { query, blocks: [name_block, data_block] };
    Ok(Next::call(routine, &arguments, Then::Rtl(rtl::Then::Reported(Box::new(reported)))))
}
