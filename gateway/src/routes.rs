//! The whole route table on one screen: method, path, who may come in, which handler.
//! Must not know: what handlers do.

use std::future::Future;
use std::rc::Rc;

use actix_web::http::Method;
use actix_web::{HttpRequest, Route, guard, web};

use crate::api::call::Call;
use crate::api::catalogue::Code;
use crate::api::problem::Problem;
use crate::api::{
    activity, appointments, bookings, clinics, days, doctors, operations, patients, policies, reminders, reschedule,
    stream, templates,
};
use crate::auth::permission::{Guard, Permission};
use crate::middleware::edge::{self, Answer};
use crate::nodes::internal;
use crate::state::Worker;

/// Who may come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Everyone, and JSON is answered.
    Open,
    /// Everyone, and something else than JSON is answered.
    OpenPage,
    /// Holders of a token, judged by the named permission.
    Guarded(&'static str),
}

/// One row of the table.
pub(crate) struct Entry {
    /// Method; a `GET` also answers `HEAD`.
    pub(crate) method: Method,
    /// Path pattern.
    pub(crate) path: &'static str,
    /// Who may come in.
    #[cfg_attr(not(test), expect(dead_code, reason = "the handler's signature decides; the tests walk the table"))]
    pub(crate) access: Access,
    route: Box<dyn FnOnce(Rc<Worker>) -> Route>,
}

/// The interface without its metrics. The busiest come first: actix asks the patterns in this order.
pub(crate) fn interface() -> Vec<Entry> {
    let (get, post, put, patch, delete) = (Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE);
    vec![
        guarded(&post, "/v1/appointments", bookings::book),
        guarded(&post, "/v1/holds", bookings::hold),
        open(&get, "/v1/doctors/{id}/days/{date}", days::read),
        guarded(&put, "/v1/doctors/{id}/days/{date}", days::publish),
        guarded(&post, "/v1/appointments/{id}/confirm", appointments::confirm),
        guarded(&post, "/v1/appointments/{id}/reschedule", reschedule::reschedule),
        guarded(&get, "/v1/appointments/{id}", appointments::read),
        guarded(&delete, "/v1/appointments/{id}", appointments::delete),
        guarded(&post, "/v1/appointments/{id}/cancel", appointments::cancel),
        guarded(&post, "/v1/appointments/{id}/no-show", appointments::no_show),
        guarded(&get, "/v1/appointments/{id}/history", appointments::history),
        guarded(&get, "/v1/patients/{id}/appointments", appointments::of_patient),
        open(&get, "/v1/doctors/{id}/days", days::list),
        guarded(&post, "/v1/doctors/{id}/days/{date}/close", days::close),
        guarded(&get, "/v1/doctors/{id}/days/{date}/appointments", appointments::of_day),
        page(&get, "/v1/doctors/{id}/days/{date}/stream", stream::read),
        open(&get, "/v1/doctors", doctors::list),
        guarded(&post, "/v1/doctors", doctors::create),
        open(&get, "/v1/doctors/{id}", doctors::read),
        guarded(&patch, "/v1/doctors/{id}", doctors::change),
        guarded(&get, "/v1/patients/{id}", patients::read),
        guarded(&put, "/v1/patients/{id}", patients::put),
        open(&get, "/v1/clinics/{id}", clinics::read),
        guarded(&put, "/v1/clinics/{id}", clinics::put),
        guarded(&get, "/v1/appointments/{id}/reminders", reminders::of_appointment),
        guarded(&get, "/v1/doctors/{id}/reminder-policy", policies::read_of_doctor),
        guarded(&put, "/v1/doctors/{id}/reminder-policy", policies::put_of_doctor),
        guarded(&delete, "/v1/doctors/{id}/reminder-policy", policies::delete_of_doctor),
        guarded(&get, "/v1/clinics/{id}/reminder-policy", policies::read_of_clinic),
        guarded(&put, "/v1/clinics/{id}/reminder-policy", policies::put_of_clinic),
        guarded(&delete, "/v1/clinics/{id}/reminder-policy", policies::delete_of_clinic),
        guarded(&get, "/v1/message-templates", templates::list),
        guarded(&get, "/v1/message-templates/{name}", templates::read),
        guarded(&put, "/v1/message-templates/{name}", templates::put),
        guarded(&delete, "/v1/message-templates/{name}", templates::delete),
        guarded(&post, "/v1/message-preview", templates::preview),
        guarded(&get, "/v1/dead-letters", reminders::dead),
        guarded(&post, "/v1/dead-letters/redrive", reminders::redrive_all),
        guarded(&post, "/v1/dead-letters/{id}/redrive", reminders::redrive),
        guarded(&post, "/v1/dead-letters/{id}/discard", reminders::discard),
        guarded(&get, "/v1/admin/activity", activity::read),
        open(&get, "/healthz/live", operations::live),
        open(&get, "/healthz/ready", operations::ready),
        open(&get, "/openapi.json", operations::document),
        page(&get, "/docs", operations::docs),
        page(&get, "/docs/", operations::docs),
        page(&get, "/docs/{file}", operations::docs_file),
    ]
}

/// What other nodes ask: requests that were passed on, and the engine's questions.
pub(crate) fn nodes() -> Vec<Entry> {
    let mut table: Vec<Entry> = interface().into_iter().filter(|entry| entry.path.starts_with("/v1/")).collect();
    table.push(entry(&Method::POST, internal::ASK, Access::Guarded("Node"), internal::ask));
    table
}

/// The metrics.
pub(crate) fn metrics() -> Vec<Entry> {
    vec![page(&Method::GET, "/metrics", operations::metrics)]
}

/// Both on one listener.
pub(crate) fn interface_and_metrics() -> Vec<Entry> {
    let mut table = interface();
    table.extend(metrics());
    table
}

fn guarded<P, H, F>(method: &Method, path: &'static str, handler: H) -> Entry
where
    P: Permission,
    H: Fn(Call, Guard<P>) -> F + Copy + 'static,
    F: Future<Output = Answer> + 'static,
{
    entry(method, path, Access::Guarded(P::NAME), move |call| async move {
        let guard = Guard::<P>::of(edge::authenticate(&call)?);
        edge::check_accept(&call)?;
        handler(call, guard).await
    })
}

fn open<H, F>(method: &Method, path: &'static str, handler: H) -> Entry
where
    H: Fn(Call) -> F + Copy + 'static,
    F: Future<Output = Answer> + 'static,
{
    entry(method, path, Access::Open, move |call| async move {
        edge::check_accept(&call)?;
        handler(call).await
    })
}

fn page<H, F>(method: &Method, path: &'static str, handler: H) -> Entry
where
    H: Fn(Call) -> F + Copy + 'static,
    F: Future<Output = Answer> + 'static,
{
    entry(method, path, Access::OpenPage, handler)
}

fn entry<H, F>(method: &Method, path: &'static str, access: Access, handler: H) -> Entry
where
    H: Fn(Call) -> F + Copy + 'static,
    F: Future<Output = Answer> + 'static,
{
    let route = if *method == Method::GET {
        web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
    } else {
        web::method(method.clone())
    };
    let route = Box::new(move |worker: Rc<Worker>| {
        route.to(move |request: HttpRequest, payload: web::Payload| {
            edge::answer(Rc::clone(&worker), request, payload.into_inner(), handler)
        })
    });
    Entry { method: method.clone(), path, access, route }
}

/// Registers `table` with actix. Paths that nobody knows are 404, methods that a path does not know 405.
pub(crate) fn configure(app: &mut web::ServiceConfig, worker: &Rc<Worker>, table: Vec<Entry>) {
    let mut resources: Vec<(&'static str, Vec<Entry>)> = Vec::new();
    for entry in table {
        match resources.iter_mut().find(|(path, _)| *path == entry.path) {
            Some((_, entries)) => entries.push(entry),
            None => resources.push((entry.path, vec![entry])),
        }
    }
    for (path, entries) in resources {
        let methods = allowed(&entries);
        let mut resource = web::resource(path);
        for entry in entries {
            resource = resource.route((entry.route)(Rc::clone(worker)));
        }
        let refuse = move |_: Call| async move { Err(Problem::of(Code::MethodNotAllowed).allow(methods)) };
        app.service(resource.default_service(fallback(worker, refuse)));
    }
    app.default_service(fallback(worker, |_: Call| async { Err(Problem::of(Code::NotFound)) }));
}

fn fallback<H, F>(worker: &Rc<Worker>, handler: H) -> Route
where
    H: Fn(Call) -> F + Copy + 'static,
    F: Future<Output = Answer> + 'static,
{
    let worker = Rc::clone(worker);
    web::route().to(move |request: HttpRequest, payload: web::Payload| {
        edge::answer(Rc::clone(&worker), request, payload.into_inner(), handler)
    })
}

/// The `Allow` header of a path.
fn allowed(entries: &[Entry]) -> &'static str {
    let has = |method: Method| entries.iter().any(|entry| entry.method == method);
    match (has(Method::GET), has(Method::POST), has(Method::PUT), has(Method::PATCH), has(Method::DELETE)) {
        (true, false, false, false, false) => "GET, HEAD",
        (true, true, false, false, false) => "GET, HEAD, POST",
        (true, false, true, false, false) => "GET, HEAD, PUT",
        (true, false, false, true, false) => "GET, HEAD, PATCH",
        (true, false, false, false, true) => "GET, HEAD, DELETE",
        (true, false, true, false, true) => "GET, HEAD, PUT, DELETE",
        (false, true, false, false, false) => "POST",
        _ => "GET, HEAD, POST, PUT, PATCH, DELETE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the contract calls open, and clinics; nothing else.
    const PUBLIC: [(&str, &str); 13] = [
        ("GET", "/v1/doctors/{id}/days/{date}/stream"),
        ("GET", "/v1/doctors/{id}/days/{date}"),
        ("GET", "/v1/doctors/{id}/days"),
        ("GET", "/v1/doctors"),
        ("GET", "/v1/doctors/{id}"),
        ("GET", "/v1/clinics/{id}"),
        ("GET", "/healthz/live"),
        ("GET", "/healthz/ready"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/docs/"),
        ("GET", "/docs/{file}"),
        ("GET", "/metrics"),
    ];

    #[test]
    fn each_route_is_guarded_or_on_the_public_list() {
        for entry in interface_and_metrics() {
            let public = PUBLIC.contains(&(entry.method.as_str(), entry.path));
            match entry.access {
                Access::Guarded(permission) => {
                    assert!(!public && !permission.is_empty(), "{} {}", entry.method, entry.path);
                }
                Access::Open | Access::OpenPage => {
                    assert!(public, "{} {} is open", entry.method, entry.path);
                    assert_eq!(entry.method, Method::GET, "{}", entry.path);
                }
            }
        }
    }

    #[test]
    fn what_is_internal_is_never_public() {
        assert!(interface_and_metrics().iter().all(|entry| !entry.path.starts_with("/internal")));
        let of_nodes: Vec<&str> = nodes().iter().map(|entry| entry.path).collect();
        assert!(of_nodes.iter().all(|path| path.starts_with("/v1/") || *path == internal::ASK), "{of_nodes:?}");
    }

    #[test]
    fn the_allow_header_names_exactly_the_methods_of_a_path() {
        let table = interface_and_metrics();
        for entry in &table {
            let same_path = |other: &&Entry| other.path == entry.path;
            let known: Vec<&Method> = table.iter().filter(same_path).map(|other| &other.method).collect();
            let of_path: Vec<Entry> =
                interface_and_metrics().into_iter().filter(|other| other.path == entry.path).collect();
            let allow: Vec<&str> = allowed(&of_path).split(", ").filter(|method| *method != "HEAD").collect();
            assert_eq!(allow.len(), known.len(), "{}", entry.path);
            assert!(known.iter().all(|method| allow.contains(&method.as_str())), "{}", entry.path);
        }
    }
}
