//! What the checker found, as reports.

use kernel::FindingKind;
use kernel::exports::Export;
use report::cause::{Cause, IrqlMisuse, LeftBehind, ObjectMisuse, RequestKind, Tag, UnloadMisuse};
use report::{Diagnostic, cause};

use super::scene::Scene;
use super::{fault, irql, objects, paging, pool};

/// The reports of one finding: several where it is about several sections.
pub(super) fn reports(scene: &Scene<'_>, kind: &FindingKind) -> Vec<Diagnostic> {
    use FindingKind as K;
    let one = |cause: Cause| vec![Diagnostic::from(cause)];
    match kind {
        K::Paging(finding) => paging::finding(scene, finding),
        K::K01LockNonpageable { section, address } => vec![paging::lock_nonpageable(scene, *section, Some(*address))],
        K::K02MmIrql { routine, irql } => vec![paging::above_apc(scene, routine, *irql)],
        K::K07HandleDereferenced { handle, .. } => vec![paging::handle_dereferenced(scene, nt_types::Va(*handle))],
        K::K08UnlockWithQueuedIrps { section, count, majors } => {
            vec![paging::unlock_with_requests(section, *count, majors)]
        }
        K::K09IsrPageable { routine, section, locked } => {
            vec![objects::routine(scene, *routine, ObjectMisuse::Isr { section: section.clone(), locked: *locked })]
        }
        K::K10DpcPageable { routine, section, locked, threaded } => {
            let (section, locked, threaded) = (section.clone(), *locked, *threaded);
            vec![objects::routine(scene, *routine, ObjectMisuse::Dpc { section, locked, threaded })]
        }
        K::K11ObjectPageable { object, what } => vec![objects::pageable(scene, *what, *object)],
        K::K12InitUseAfterDiscard { address, access } => vec![fault::init_use(scene, *address, *access)],
        K::K13LatentFault { address, access, would_be, .. } => {
            vec![fault::latent(scene, *address, *access, *would_be)]
        }
        K::K14WaitTruePageable { routine, section } => {
            let routine = (*routine).to_owned();
            one(Cause::Irql(IrqlMisuse::WaitTrue { routine, section: section.clone() }))
        }
        K::K19PageEntireRace { opener, .. } => vec![paging::page_entire_race(*opener)],
        K::K20UnloadDuringCall { routine, caller, section } => {
            vec![paging::during_call(scene, routine, *caller, *section)]
        }
        K::K21CompletionPageable { routine, section } => {
            vec![objects::routine(scene, *routine, ObjectMisuse::Completion { section: section.clone() })]
        }
        K::K22WorkItemPageable { item } => vec![objects::work_item(scene, *item)],
        K::K23PagingPathPageable { routine, major } => {
            let function = RequestKind::from_major(*major).unwrap_or(RequestKind::Read);
            let section = scene.spot(*routine).and_then(|spot| spot.place().section).unwrap_or_default();
            vec![objects::routine(scene, *routine, ObjectMisuse::PagingPath { function, section })]
        }
        K::K26RaiseInPageable { section, to } => {
            let routine = scene.place.service.map(str::to_owned);
            one(Cause::Irql(IrqlMisuse::RaiseInPageable { section: section.clone(), routine, to: *to }))
        }
        K::PoolLeak { address, bytes, tag, .. } => vec![pool::leak(scene, *address, *bytes, Tag(*tag))],
        K::IrqlOutOfRange { export, irql } => vec![out_of_range(scene, export, *irql)],
        K::InterruptLeak { isr, .. } => {
            let object = LeftBehind::Object(cause::ObjectKind::Interrupt);
            let left = Diagnostic::from(Cause::Unload(UnloadMisuse::Left { object, name: None }));
            vec![Diagnostic { at: scene.span(*isr), ..left }]
        }
        K::IrqlNotRestored { what, routine, before, after } => {
            let callback = irql::callback(*what);
            let misuse = IrqlMisuse::NotRestored { callback, expected: *before, found: *after };
            vec![Diagnostic { at: scene.span(*routine), ..Diagnostic::from(Cause::Irql(misuse)) }]
        }
    }
}

fn out_of_range(scene: &Scene<'_>, export: &Export, irql: nt_types::Irql) -> Diagnostic {
    let (routine, pageable) = (export.name.to_owned(), export.is_pageable());
    let misuse = IrqlMisuse::OutOfRange { routine, irql, allowed: export.irql.clone(), pageable };
    Diagnostic { because: irql::history(scene), ..Diagnostic::from(Cause::Irql(misuse)) }
}
