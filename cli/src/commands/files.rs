//! `conductor files`.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use conductor_client::{Client, ClientError, StoredFile};

use crate::args::FilesCommand;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, note, show};

pub async fn run(client: &Client, format: Format, command: FilesCommand) -> Result<Exit, CliError> {
    match command {
        FilesCommand::Put { file, path } => {
            client.put_file(&path, read(&file)?).await?;
            let stored = client.head_file(&path).await?;
            show(format, &stored, rows)?;
        }
        FilesCommand::Get { path, file } => get(client, &path, file.as_deref()).await?,
        FilesCommand::Stat { path } => show(format, &client.head_file(&path).await?, rows)?,
        FilesCommand::Delete { path } => {
            client.delete_file(&path).await?;
            note(&format!("{path} is deleted"));
        }
    }
    Ok(Exit::Success)
}

fn rows(file: &StoredFile) -> Rows {
    let mut rows = Rows::new(&["PATH", "BYTES", "SHA256"], "");
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    rows.push([file.path.clone(), text(file.size_bytes.map(|bytes| bytes.to_string())), text(file.sha256.clone())]);
    rows
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    if file == Path::new("-") {
        let mut content = Vec::new();
        let fail = |source| CliError::Read { path: PathBuf::from("standard input"), source };
        io::stdin().read_to_end(&mut content).map_err(fail)?;
        return Ok(content);
    }
    fs::read(file).map_err(|source| CliError::Read { path: file.to_owned(), source })
}

/// Writes a file piece by piece, so that its size does not matter.
async fn get(client: &Client, path: &str, file: Option<&Path>) -> Result<(), CliError> {
    let mut response = client.open_file(path).await?;
    let name = file.map_or_else(|| PathBuf::from("standard output"), Path::to_owned);
    let fail = |source| CliError::Write { path: name.clone(), source };
    let mut out: Box<dyn Write> = match file {
        Some(file) => Box::new(fs::File::create(file).map_err(fail)?),
        None => Box::new(io::stdout()),
    };
    let cut = |error: reqwest::Error| ClientError::Answer {
        request: format!("GET /resources/{path}"),
        reason: format!("it was cut off: {error}"),
    };
    while let Some(piece) = response.chunk().await.map_err(cut)? {
        out.write_all(&piece).map_err(fail)?;
    }
    out.flush().map_err(fail)
}
