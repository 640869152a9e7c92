//! What clients ask, answered as the host does.

use cas::{
    host::handle::Call,
    model::{
        event::Input,
        ids::RequestId,
        query::{Answer, Query},
    },
    world::store::EntryFilter,
};

use super::House;

impl House {
    /// Somebody comes to the socket; whatever is asked there is answered until they have left.
    pub(crate) async fn serve(&mut self, mut visit: tokio::task::JoinHandle<()>) {
        loop {
            tokio::select! {
                Some(call) = self.door.recv() => self.take(call),
                left = &mut visit => return left.expect("a visitor does not panic"),
            }
        }
    }

    fn take(&mut self, call: Call) {
        match call {
            Call::Request { mut request, reply } => {
                self.serial += 1;
                request.id = RequestId(self.serial);
                self.replies.insert(request.id, reply);
                self.step(Input::Request(request));
                self.publish();
            }
            // In each, an error of `send` means that the asker has left.
            Call::Query { query: Query::Logs { service } | Query::RawLogs { service, .. }, answer } => {
                let hub = self.hub.clone();
                tokio::spawn(async move { answer.send(Answer::Logs(hub.recall(service).await)) });
            }
            Call::Query { query: Query::Entries { limit }, answer } => {
                self.store.entries_then(EntryFilter { limit, ..EntryFilter::default() }, move |entries| {
                    let _left = answer.send(Answer::Entries(entries));
                });
            }
            Call::Query {
                query:
                    Query::ShellContext { .. }
                    | Query::Disk
                    | Query::Patterns { .. }
                    | Query::SearchLogs(_)
                    | Query::LogFiles { .. },
                answer,
            } => {
                let _left = answer.send(Answer::Unavailable("not here".to_owned()));
            }
            Call::Tty { answer, .. } => {
                let _left = answer.send(Err("nothing has a terminal here".to_owned()));
            }
            Call::Leave { .. } => panic!("nobody may end the week"),
        }
    }
}
