//! Bodies that are too large for memory.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::header;
use futures_util::Stream;

use super::json::drain;
use crate::api::ApiError;
use crate::app::AppError;

/// A body that is passed on as it comes.
#[derive(Debug)]
pub(in crate::api) struct UploadStream(BodyDataStream);

impl UploadStream {
    /// The request's body; refused at once when it is announced as larger than `limit_bytes`.
    pub(in crate::api) async fn of(request: Request, limit_bytes: u64, what: &str) -> Result<Self, ApiError> {
        let announced =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let body = request.into_body();
        if announced.is_some_and(|length| length > limit_bytes) {
            drain(body).await;
            return Err(ApiError::too_large(what, usize::try_from(limit_bytes).unwrap_or(usize::MAX)));
        }
        Ok(Self(body.into_data_stream()))
    }

    /// What became of the upload. What is left of a refused one is drained, so that its sender gets to read why.
    pub(in crate::api) async fn finish<T>(self, result: Result<T, impl Into<AppError>>) -> Result<T, ApiError> {
        match result {
            Ok(taken) => Ok(taken),
            Err(error) => {
                drain(Body::from_stream(self)).await;
                Err(error.into().into())
            }
        }
    }
}

impl Stream for UploadStream {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context)
    }
}
