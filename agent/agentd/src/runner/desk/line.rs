//! The connection to the agent, where there is one, and what tasks ask through it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::transfer::Transfer;
use crate::runner_link::frames::Outgoing;
use crate::runner_link::message::{FromRunner, Question};

/// Longest wait for an answer, with the agent away or there.
const ANSWER_WAIT: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Asked {
    question: Question,
    /// The file whose bytes it is about.
    transfer: Option<Transfer>,
    answered: oneshot::Sender<Result<Value, String>>,
}

/// The way to one agent.
#[derive(Debug, Default)]
pub struct AgentLine {
    outgoing: RefCell<Option<Rc<Outgoing>>>,
    asked: RefCell<BTreeMap<u64, Asked>>,
    next_ask: Cell<u64>,
}

impl AgentLine {
    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.outgoing.borrow().is_some()
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.outgoing.borrow().as_ref().map_or(0, |outgoing| outgoing.waiting_bytes())
    }

    /// Says something; without a connection it goes nowhere.
    pub fn send(&self, message: &FromRunner) {
        if let Some(outgoing) = &*self.outgoing.borrow() {
            outgoing.send(message);
        }
    }

    /// There is a connection. The greeting goes first, then what was asked and is not answered.
    pub fn connect(&self, outgoing: Rc<Outgoing>, greeting: &FromRunner) {
        outgoing.send(greeting);
        *self.outgoing.borrow_mut() = Some(outgoing);
        let asked = self.asked.borrow();
        for (ask, Asked { question, .. }) in &*asked {
            self.send(&FromRunner::Ask { ask: *ask, question: question.clone() });
        }
    }

    /// The connection is gone.
    pub fn disconnect(&self) {
        *self.outgoing.borrow_mut() = None;
    }

    /// Asks, also over the agent's end and next start.
    ///
    /// # Errors
    /// What the agent says against it, or that it did not answer.
    pub async fn ask(&self, question: Question) -> Result<Value, String> {
        self.ask_about(question, None).await
    }

    /// Asks for something that is done with a file. What is fetched has its name once all of it is there.
    ///
    /// # Errors
    /// What the agent says against it, or that it did not answer.
    pub async fn ask_about(&self, question: Question, transfer: Option<Transfer>) -> Result<Value, String> {
        let ask = self.next_ask.get() + 1;
        self.next_ask.set(ask);
        let (answered, answer) = oneshot::channel();
        self.send(&FromRunner::Ask { ask, question: question.clone() });
        self.asked.borrow_mut().insert(ask, Asked { question, transfer: transfer.clone(), answered });
        let answer = timeout(ANSWER_WAIT, answer).await;
        self.asked.borrow_mut().remove(&ask);
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(format!("the agent gave no answer within {} s", ANSWER_WAIT.as_secs())),
        };
        match transfer {
            Some(transfer) => transfer.end(ask, answer),
            None => answer,
        }
    }

    /// The file that a question is about.
    #[must_use]
    pub fn transfer(&self, ask: u64) -> Option<Transfer> {
        self.asked.borrow().get(&ask)?.transfer.clone()
    }

    /// An answer came.
    pub fn answered(&self, ask: u64, answer: Result<Value, String>) {
        if let Some(asked) = self.asked.borrow_mut().remove(&ask) {
            // Whoever asked may have been ended.
            let _ = asked.answered.send(answer);
        }
    }
}
