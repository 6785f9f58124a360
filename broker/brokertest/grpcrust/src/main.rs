//! The unmodified Rust client of RocketMQ 5: grpcrust ENDPOINT SCENARIO PREFIX. Topics PREFIXnormal, PREFIXfifo, PREFIXdelay and PREFIXtxn of these types must
//! exist, and groups PREFIXg-fifo, which consumes in order, and PREFIXg-push, with two retries. TLS=1: with TLS; the client then believes the certificates in
//! SSL_CERT_FILE. Exit code 0 says that all checks held. The client has no push consumer, cannot recall and cannot change an invisible time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::error::ClientError;
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::{MessageBuilder, MessageView};
use rocketmq::model::transaction::{Transaction, TransactionChecker, TransactionResolution};
use rocketmq::{Producer, SimpleConsumer};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(90);

struct Suite {
    endpoint: String,
    prefix: String,
    tls: bool,
}

/// A consumer of one topic.
struct Consumer {
    client: SimpleConsumer,
    topic: String,
    filter: FilterExpression,
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let s = Suite { endpoint: args[1].clone(), prefix: args[3].clone(), tls: std::env::var_os("TLS").is_some() };
    match args[2].as_str() {
        "all" => {
            // They mostly wait.
            tokio::join!(s.normal(), s.refusals(), s.empty(), s.fifo(), s.delays(), s.transactions(), s.dead_letters());
        }
        "normal" => s.normal().await,
        "refusals" => s.refusals().await,
        "empty" => s.empty().await,
        "fifo" => s.fifo().await,
        "delays" => s.delays().await,
        "transactions" => s.transactions().await,
        "dead-letters" => s.dead_letters().await,
        other => panic!("no scenario {other}"),
    }
    println!("OK {}", args[2]);
}

fn tags(expression: &str) -> FilterExpression {
    FilterExpression::new(FilterType::Tag, expression)
}

fn message(topic: &str, body: &str) -> MessageBuilder {
    MessageBuilder::builder().set_topic(topic).set_body(body.into()).set_keys(vec![format!("key-{body}")])
}

fn body(m: &MessageView) -> &str {
    std::str::from_utf8(m.body()).expect("the body is text")
}

fn bodies(list: &[MessageView]) -> Vec<&str> {
    let mut all: Vec<&str> = list.iter().map(body).collect();
    all.sort();
    all
}

fn refused<T>(result: Result<T, ClientError>, code: &str, what: &str) {
    match result {
        Ok(_) => panic!("{what}: not refused"),
        Err(e) => assert!(e.context().iter().any(|(k, v)| *k == "code" && v == code), "{what}: {e}, expected {code}"),
    }
}

impl Consumer {
    /// Takes what comes, until there are n messages, without acknowledging.
    async fn receive(&self, n: usize, invisible: u64) -> Vec<MessageView> {
        let end = Instant::now() + PATIENCE;
        let mut got = self.batch(32, invisible).await;
        while got.len() < n {
            assert!(Instant::now() < end, "{}: {:?} and no more within {PATIENCE:?}, expected {n}", self.topic, bodies(&got));
            got.extend(self.batch(32, invisible).await);
        }
        got
    }

    async fn batch(&self, size: i32, invisible: u64) -> Vec<MessageView> {
        self.client.receive_with(&self.topic, &self.filter, size, Duration::from_secs(invisible)).await.expect("receive")
    }

    /// Gives up a receive that nothing came to.
    async fn nothing(&self, seconds: u64) {
        if let Ok(list) = timeout(Duration::from_secs(seconds), self.batch(32, 15)).await {
            panic!("{}: {:?} came", self.topic, bodies(&list));
        }
    }

    async fn ack(&self, list: &[MessageView]) {
        for m in list {
            self.client.ack(m).await.expect("ack");
        }
    }

    async fn end(self) {
        self.client.shutdown().await.expect("end of the consumer");
    }
}

impl Suite {
    fn options(&self) -> ClientOption {
        let mut o = ClientOption::default();
        o.set_access_url(&self.endpoint);
        o.set_enable_tls(self.tls);
        o.set_timeout(Duration::from_secs(10));
        o
    }

    async fn producer(&self, topic: &str, checker: Option<Box<TransactionChecker>>) -> Result<Producer, ClientError> {
        let mut o = ProducerOption::default();
        o.set_topics(vec![topic]);
        let mut p = match checker {
            Some(checker) => Producer::new_transaction_producer(o, self.options(), checker)?,
            None => Producer::new(o, self.options())?,
        };
        p.start().await?;
        Ok(p)
    }

    async fn consumer(&self, group: &str, topic: &str, filter: FilterExpression) -> Result<Consumer, ClientError> {
        self.consumer_with(self.options(), group, topic, filter).await
    }

    async fn consumer_with(&self, options: ClientOption, group: &str, topic: &str, filter: FilterExpression) -> Result<Consumer, ClientError> {
        let mut o = SimpleConsumerOption::default();
        o.set_topics(vec![topic]);
        o.set_consumer_group(format!("{}{group}", self.prefix));
        let mut client = SimpleConsumer::new(o, options)?;
        client.start().await?;
        Ok(Consumer { client, topic: topic.into(), filter })
    }

    /// Contents, filters, one batch; what is not acknowledged comes again after its invisible time, and not before.
    async fn normal(&self) {
        let topic = &format!("{}normal", self.prefix);
        let p = self.producer(topic, None).await.expect("producer");
        let all = self.consumer("r-all", topic, tags("r-a||r-b||r-c")).await.expect("consumer");
        let tagged = self.consumer("r-tag", topic, tags("r-a||r-b")).await.expect("consumer");
        let sql = self.consumer("r-sql", topic, FilterExpression::new(FilterType::Sql, "n > 5 AND color = 'red'")).await.expect("consumer");
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let build = |i: usize| {
            let properties = HashMap::from([("n", i.to_string()), ("color", ["red", "blue"][i % 2].to_string())]);
            message(topic, &format!("m{i:02}")).set_tag(["r-a", "r-b", "r-c"][i % 3]).set_properties(properties).build().unwrap()
        };
        let mut ids = HashMap::new();
        for i in 0..9 {
            let r = p.send(build(i)).await.expect("send");
            assert_eq!(r.message_id(), r.transaction_id());
            ids.insert(format!("m{i:02}"), r.message_id().to_string());
        }
        let receipts = p.batch_send((9..12).map(build).collect()).await.expect("send of a batch");
        assert_eq!(receipts.len(), 3); // RocketMQ's proxy gives one, with all ids in it
        for (i, r) in receipts.iter().enumerate() {
            ids.insert(format!("m{:02}", i + 9), r.message_id().to_string());
        }
        let want = |chosen: fn(&usize) -> bool| (0..12).filter(chosen).map(|i| format!("m{i:02}")).collect::<Vec<_>>();
        let received = Instant::now();
        let got = all.receive(12, 10).await;
        assert_eq!(bodies(&got), want(|_| true));
        for m in &got {
            let i: usize = body(m)[1..].parse().unwrap();
            assert_eq!(m.message_id(), ids[body(m)]);
            assert_eq!(m.properties(), &HashMap::from([("n".into(), i.to_string()), ("color".into(), ["red", "blue"][i % 2].into())]));
            assert_eq!((m.topic(), m.tag(), m.keys()), (topic.as_str(), Some(["r-a", "r-b", "r-c"][i % 3]), [format!("key-m{i:02}")].as_slice()));
            assert_eq!((m.delivery_attempt(), m.message_group(), m.delivery_timestamp(), m.namespace()), (1, None, None, ""));
            assert!(!m.born_host().is_empty() && (began..began + 60).contains(&m.born_timestamp()), "{m:?}");
        }
        all.ack(&got[..6]).await;
        let list = tagged.receive(8, 15).await;
        assert_eq!(bodies(&list), want(|i| i % 3 < 2));
        tagged.ack(&list).await;
        let list = sql.receive(3, 15).await;
        assert_eq!(bodies(&list), want(|i| *i > 5 && i % 2 == 0));
        sql.ack(&list).await;
        let again = all.receive(6, 15).await;
        assert!(received.elapsed() >= Duration::from_secs(10), "came again after {:?}", received.elapsed());
        assert_eq!(bodies(&again), bodies(&got[6..]));
        assert!(again.iter().all(|m| m.delivery_attempt() == 2), "{again:?}");
        all.ack(&again).await;
        all.nothing(2).await;
        for c in [all, tagged, sql] {
            c.end().await;
        }
        p.shutdown().await.expect("end of the producer");
    }

    /// Those that the broker makes. This client leaves a message's type to it; most others look themselves.
    async fn refusals(&self) {
        let topic = &format!("{}normal", self.prefix);
        let p = self.producer(topic, None).await.expect("producer");
        let m = || message(topic, "refused");
        for (what, code, m) in [
            ("tag with |", "ILLEGAL_MESSAGE_TAG", m().set_tag("a|b")),
            ("blank key", "ILLEGAL_MESSAGE_KEY", m().set_keys(vec![" "])),
            ("the broker's property", "ILLEGAL_MESSAGE_PROPERTY_KEY", m().set_properties(HashMap::from([("UNIQ_KEY", "x")]))),
            ("large properties", "MESSAGE_PROPERTIES_TOO_LARGE", m().set_properties(HashMap::from([("x", "x".repeat(17 << 10))]))),
            ("many properties", "MESSAGE_PROPERTIES_TOO_LARGE", m().set_properties((0..129).map(|i| (format!("p{i}"), "x")).collect())),
            ("another type", "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE", m().set_message_group("group")),
        ] {
            refused(p.send(m.build().unwrap()).await, code, what);
        }
        let c = self.consumer("r-refused", topic, tags("*")).await.expect("consumer");
        for seconds in [1, 13 * 3600] {
            refused(c.client.receive_with(topic, &c.filter, 1, Duration::from_secs(seconds)).await, "ILLEGAL_INVISIBLE_TIME", "invisible time");
        }
        let unknown = &format!("{}unknown", self.prefix);
        refused(self.producer(unknown, None).await, "TOPIC_NOT_FOUND", "unknown topic");
        refused(self.consumer("r-refused", unknown, tags("*")).await, "TOPIC_NOT_FOUND", "unknown topic");
        c.end().await;
        p.shutdown().await.expect("end of the producer");
    }

    /// The client gives a receive no longer than it is to be held: it must be answered before, else nothing is an error.
    async fn empty(&self) {
        let topic = &format!("{}normal", self.prefix);
        let mut options = self.options();
        options.set_long_polling_timeout(Duration::from_secs(6));
        let c = self.consumer_with(options, "r-empty", topic, tags("r-none")).await.expect("consumer");
        for left in [2, 1, 0] {
            let began = Instant::now();
            match c.client.receive_with(topic, &c.filter, 32, Duration::from_secs(15)).await {
                Ok(list) => {
                    assert!(list.is_empty() && began.elapsed() > Duration::from_millis(5800), "{:?} after {:?}", bodies(&list), began.elapsed());
                    break;
                }
                Err(e) => assert!(left > 0, "{e}"), // the machine was busy for longer than is left
            }
        }
        c.end().await;
    }

    /// Two consumers of one group: what one has not acknowledged keeps what is behind it from the other.
    async fn fifo(&self) {
        let topic = &format!("{}fifo", self.prefix);
        let p = self.producer(topic, None).await.expect("producer");
        let a = self.consumer("g-fifo", topic, tags("*")).await.expect("consumer");
        let b = self.consumer("g-fifo", topic, tags("*")).await.expect("consumer");
        let want: Vec<String> = (0..10).map(|i| format!("r{i}")).collect();
        for body in &want {
            p.send(MessageBuilder::fifo_message_builder(topic, body.clone().into_bytes(), "r-group").build().unwrap()).await.expect("send");
        }
        let mut seen = Vec::new();
        while seen.len() < want.len() {
            let c = [&a, &b][seen.len() % 2];
            let got = c.batch(3, 30).await;
            assert!(got.iter().all(|m| m.message_group() == Some("r-group") && m.delivery_attempt() == 1), "{got:?}");
            if seen.is_empty() {
                b.nothing(2).await;
            }
            c.ack(&got).await;
            seen.extend(got.iter().map(|m| body(m).to_string()));
        }
        assert_eq!(seen, want);
        a.end().await;
        b.end().await;
        p.shutdown().await.expect("end of the producer");
    }

    /// Never early.
    async fn delays(&self) {
        let topic = &format!("{}delay", self.prefix);
        let p = self.producer(topic, None).await.expect("producer");
        let c = self.consumer("r-delay", topic, tags("*")).await.expect("consumer");
        let mut due = HashMap::new();
        for i in 0..3 {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 + 3 + i;
            due.insert(format!("d{i}"), at);
            p.send(MessageBuilder::delay_message_builder(topic, format!("d{i}").into_bytes(), at).build().unwrap()).await.expect("send");
        }
        let mut got = Vec::new();
        while got.len() < 3 {
            for m in c.receive(1, 15).await {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
                assert!(now >= due[body(&m)] && m.delivery_timestamp() == Some(due[body(&m)]), "at {now}: {m:?}, due {due:?}");
                got.push(m);
            }
        }
        assert_eq!(bodies(&got), ["d0", "d1", "d2"]);
        c.ack(&got).await;
        c.nothing(1).await;
        c.end().await;
        p.shutdown().await.expect("end of the producer");
    }

    /// Committed ones come, rolled back ones never, undecided ones are asked about.
    async fn transactions(&self) {
        let topic = &format!("{}txn", self.prefix);
        let asked: Arc<Mutex<BTreeMap<String, Vec<String>>>> = Default::default();
        let questions = asked.clone();
        let checker: Box<TransactionChecker> = Box::new(move |id, m| {
            let mut asked = questions.lock().unwrap();
            let of = asked.entry(body(&m).into()).or_default();
            of.push(id);
            match (body(&m), of.len()) {
                ("orphan-commit", 2) => TransactionResolution::COMMIT, // the first time it does not know yet
                ("orphan-rollback", _) => TransactionResolution::ROLLBACK,
                _ => TransactionResolution::UNKNOWN,
            }
        });
        let p = self.producer(topic, Some(checker)).await.expect("producer");
        let c = self.consumer("r-txn", topic, tags("*")).await.expect("consumer");
        let mut ids = BTreeMap::new();
        for body in ["commit", "rollback", "orphan-commit", "orphan-rollback"] {
            let tx = p.send_transaction_message(message(topic, body).enable_transaction().build().unwrap()).await.expect("send");
            ids.insert(body.to_string(), tx.transaction_id().to_string());
            match body {
                "commit" => tx.commit().await.expect("commit"),
                "rollback" => tx.rollback().await.expect("rollback"),
                _ => {}
            }
        }
        let got = c.receive(2, 120).await; // longer than it takes until all are decided: neither comes twice
        assert_eq!(bodies(&got), ["commit", "orphan-commit"]);
        for m in &got {
            assert_eq!(m.properties().get("__transactionId__"), Some(&ids[body(m)]));
        }
        c.ack(&got).await;
        let end = Instant::now() + PATIENCE;
        while !asked.lock().unwrap().contains_key("orphan-rollback") {
            assert!(Instant::now() < end, "nobody asks about the one that is rolled back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        c.nothing(3).await;
        let id = |body: &str, times: usize| (body.to_string(), vec![ids[body].clone(); times]);
        assert_eq!(*asked.lock().unwrap(), BTreeMap::from([id("orphan-commit", 2), id("orphan-rollback", 1)]));
        c.end().await;
        p.shutdown().await.expect("end of the producer");
    }

    /// What is never acknowledged is a dead letter after its last attempt.
    async fn dead_letters(&self) {
        let topic = &format!("{}normal", self.prefix);
        let p = self.producer(topic, None).await.expect("producer");
        let c = self.consumer("g-push", topic, tags("r-dead")).await.expect("consumer");
        p.send(message(topic, "poison").set_tag("r-dead").build().unwrap()).await.expect("send");
        for attempt in 1..=3 {
            let got = c.receive(1, 10).await;
            assert_eq!((bodies(&got), got[0].delivery_attempt()), (vec!["poison"], attempt));
        }
        let dead = &format!("%DLQ%{}g-push", self.prefix);
        let end = Instant::now() + PATIENCE;
        let letters = loop {
            c.nothing(1).await; // RocketMQ's proxy buries it when it is to be received once more
            match self.consumer("r-dead", dead, tags("*")).await {
                Ok(letters) => break letters,
                Err(e) => assert!(Instant::now() < end, "no dead letter: {e}"), // the topic is made with the first one
            }
        };
        let got = letters.receive(1, 15).await;
        assert_eq!(bodies(&got), ["poison"]);
        assert_eq!(got[0].keys(), ["key-poison"]);
        letters.ack(&got).await;
        letters.end().await;
        c.end().await;
        p.shutdown().await.expect("end of the producer");
    }
}
