//! `/resources/<area>/<tenant>/<path>`: files that workflows use. A caller reaches its own tenant's alone.

mod delete;
mod get;
mod put;
mod range;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use conductor_model::TenantName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiError;
use super::state::ApiState;
use crate::app::files::{FileInfo, FileKey};
use crate::app::{AppError, Caller};

/// SHA-256 of a file in hexadecimal. With a PUT: what the sender expects.
static CHECKSUM: HeaderName = HeaderName::from_static("x-checksum-sha256");

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(put::put, get::get, get::head, delete::delete))
}

fn key(caller: &Caller, (area, tenant, path): (String, String, String)) -> Result<FileKey, ApiError> {
    let wanted = tenant.parse::<TenantName>();
    if wanted.as_ref().ok() != Some(&caller.tenant) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "tenant-forbidden",
            format!("the token is for tenant {}, not for {tenant:?}, which the path names", caller.tenant),
        )
        .hint("write the path as /resources/<area>/<tenant>/<path>"));
    }
    Ok(FileKey::parse(&area, &caller.tenant, &path).map_err(|error| AppError::invalid("path-invalid", error.to_string()))?)
}

/// What answers say of a file.
fn headers(info: &FileInfo) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let quoted = HeaderValue::from_str(&format!("\"{}\"", info.sha256));
    let plain = HeaderValue::from_str(&info.sha256);
    if let (Ok(quoted), Ok(plain)) = (quoted, plain) {
        headers.insert(header::ETAG, quoted);
        headers.insert(CHECKSUM.clone(), plain);
    }
    let media_type = info.media_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    headers.insert(header::CONTENT_TYPE, media_type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let modified = jiff::Timestamp::from_millisecond(info.modified_at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    if let Ok(modified) = HeaderValue::from_str(&modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
        headers.insert(header::LAST_MODIFIED, modified);
    }
    // Files are data: a browser is not to run one in this server's name.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers
}
