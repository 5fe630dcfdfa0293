//! Reading requests into types that cannot be wrong, with errors that say what, where and what is expected.

mod json;
mod params;
mod path;
mod python;
mod upload;

pub(super) use json::{JsonBody, JsonListOrOne, OptionalJson, parse_json, parse_optional, read_body};
pub(super) use params::Params;
#[cfg(test)]
pub(super) use params::params;
pub(super) use path::{name_in_path, task_id, workflow_id};
pub(super) use python::parse_python;
pub(super) use upload::UploadStream;
