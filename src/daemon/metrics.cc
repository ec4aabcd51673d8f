// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics.h"

#include "crypto/sha256.h"
#include "daemon/tide_metrics.h"

namespace tideway::daemon {
namespace {

using enum MetricsText::Type;

double seconds(job::WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

void add_traffic(MetricsText& out, const session::SessionCounts& counts) {
  const auto each = [&](auto value) {
    for (const auto& [peer, traffic] : counts.traffic) out.value(value(traffic), {{"peer", peer}});
  };
  add_sent(out, counts.traffic);
  out.family("received_bytes_total", kCounter, "UDP payload received from a peer");
  each([](const session::Traffic& traffic) { return static_cast<double>(traffic.received.count()); });
  out.family("retransmitted_packets_total", kCounter, "packets that were lost, and whose content was sent again");
  each([](const session::Traffic& traffic) { return static_cast<double>(traffic.packets_lost); });
  out.family("flow_loss_ratio", kGauge, "lost packets of those sent to a peer");
  each([](const session::Traffic& traffic) { return traffic.packets_sent == 0 ? 0 : static_cast<double>(traffic.packets_lost) / static_cast<double>(traffic.packets_sent); });
  out.family("compression_ratio", kGauge, "raw bytes for each packed one, by class, of transfers that are over");
  for (const auto& [account, packing] : counts.packing)
    if (packing.packed > 0_B) out.value(static_cast<double>(packing.raw.count()) / static_cast<double>(packing.packed.count()), {{"class", std::string(session::to_string(account))}});
  out.family("rekeys_total", kCounter, "changes of the keys of flows, in either direction").value(static_cast<double>(counts.rekeys));
  out.family("payload_bytes_total", kCounter, "bytes of files whose hashes agreed, of transfers that are over").value(static_cast<double>(counts.payload.count()));
}

void add_engine(MetricsText& out, session::Gateway& gateway, WorkerLoad& load, Time now) {
  const engine::Engine& engine = gateway.engine();
  const Rate rate = engine.rate();
  out.family("bwlimit_bytes_per_second", kGauge, "ceiling of this gateway; +Inf without one");
  out.value(rate.is_unlimited() ? std::numeric_limits<double>::infinity() : static_cast<double>(rate.bytes_per_second()));
  out.family("pool_free_ratio", kGauge, "block buffers that nobody holds").value(engine.pool_free_share());
  out.family("worker_busy_ratio", kGauge, "share of a core that a thread used since the scrape before");
  for (const auto& [name, ratio] : load.look(now)) out.value(ratio, {{"worker", name}});
  uint64_t auth = 0, refused = 0, malformed = 0, unknown = 0, replayed = 0;
  for (const engine::NetBoard& board : engine.net_boards()) {
    auth += board.dropped_auth.get();
    refused += board.dropped_refused.get();
    malformed += board.dropped_malformed.get() + board.dropped_short.get();
    unknown += board.dropped_unknown.get() + board.dropped_foreign.get();
    replayed += board.dropped_replay.get();
  }
  out.family("auth_failed_packets_total", kCounter, "packets that were dropped because no peer of ours can have sent them");
  for (const auto& [reason, count] : {std::pair("tag", auth), std::pair("refused", refused), std::pair("malformed", malformed), std::pair("unknown_flow", unknown)})
    out.value(static_cast<double>(count), {{"reason", reason}});
  out.family("replayed_packets_total", kCounter, "packets that came before").value(static_cast<double>(replayed));
}

void add_disk(MetricsText& out, session::Gateway& gateway, const session::SessionCounts& counts) {
  const engine::IoBoard& board = gateway.engine().io_board();
  out.family("fsync_duration_seconds", kSummary, "syncing a batch of what was received").summary(board.syncs.get(), static_cast<double>(board.sync_ns.get()) / 1e9);
  out.family("undurable_bytes", kGauge, "written for transfers, and not durable yet").value(static_cast<double>(board.bytes_undurable.get()));
  out.family("readback_bytes_total", kCounter, "read back from the device after a sync, for transfers with --verify readback").value(static_cast<double>(board.bytes_read_back.get()));
  out.family("verify_lag_bytes", kGauge, "written for such transfers, and not read back yet").value(static_cast<double>(board.bytes_unverified.get()));
  out.family("publishes_lost_total", kCounter, "begun by an earlier process, and neither at the destination nor in staging any more").value(static_cast<double>(board.publishes_lost.get()));
  out.family("stalls_total", kCounter, "what had to wait: a block for the peer's credit, each turn; writing for a sync, each time");
  uint64_t credit = 0;
  for (const auto& [peer, traffic] : counts.traffic) credit += traffic.held_by_credit;
  out.value(static_cast<double>(credit), {{"cause", "credit"}});
  out.value(static_cast<double>(board.stalls_sync.get()), {{"cause", "sync"}});
}

void add_ports(MetricsText& out, const engine::Engine& engine) {
  const auto backend = packet_io::find_backend(engine.packet_backend());
  const PacketIoLosses losses = engine.losses();
  const bool counts_ports = backend.ok() && backend.value()->ports != nullptr;
  const auto ports = counts_ports ? backend.value()->ports() : std::vector<packet_io::PortCounters>();
  if (counts_ports) out.family("port_packets_total", kCounter, "packets of a DPDK port");
  for (const packet_io::PortCounters& port : ports) {
    out.value(static_cast<double>(port.received), {{"port", port.port}, {"direction", "received"}});
    out.value(static_cast<double>(port.sent), {{"port", port.port}, {"direction", "sent"}});
  }
  out.family("port_drops_total", kCounter, "packets that this host or a port of it lost, by why");
  for (const packet_io::PortCounters& port : ports)
    for (const auto& [reason, count] : {std::pair("no_descriptor", port.missed), std::pair("no_buffer", port.dry), std::pair("receive_error", port.receive_errors), std::pair("send_error", port.send_errors)})
      out.value(static_cast<double>(count), {{"port", port.port}, {"reason", reason}});
  if (counts_ports) return;
  out.value(static_cast<double>(losses.received), {{"port", "kernel"}, {"reason", "received"}});
  out.value(static_cast<double>(losses.sent), {{"port", "kernel"}, {"reason", "sent"}});
}

void add_sessions(MetricsText& out, const session::SessionCounts& counts) {
  out.family("handshakes_total", kCounter, "of peers that dialled, by how they ended").value(static_cast<double>(counts.accepted), {{"result", "accepted"}});
  for (const auto& [fault, count] : counts.refused) out.value(static_cast<double>(count), {{"result", std::string(row_of(fault).name)}});
  out.family("denied_total", kCounter, "requests of peers that no grant allows");
  for (const auto& [op, count] : counts.denied) out.value(static_cast<double>(count), {{"op", op}});
  const auto ended = [&](Fault fault) {
    const auto found = counts.transfers_ended.find(fault);
    return found == counts.transfers_ended.end() ? 0.0 : static_cast<double>(found->second);
  };
  out.family("limit_hits_total", kCounter, "transfers that met a limit of their grant").value(ended(Fault::kLimitExceeded), {{"limit", "grant"}});
  out.family("integrity_mismatches_total", kCounter, "transfers that ended because hashes differ");
  out.value(ended(Fault::kHashMismatch) + ended(Fault::kSourceCorrupt) + ended(Fault::kManifestMismatch) + ended(Fault::kBadCompression), {{"stage", "transfer"}});
}

void add_jobs(MetricsText& out, const MetricSources& sources) {
  const JobTable& table = sources.table;
  out.family("job_state", kGauge, "jobs in each state; of those that are over, the ones still remembered");
  for (const job::State state : job::kStates) out.value(static_cast<double>(table.count(state)), {{"state", std::string(to_string(state))}});
  out.family("jobs_waiting", kGauge, "jobs that wait, by peer and the code of what for");
  for (const auto& [why, count] : table.waiting()) out.value(static_cast<double>(count), {{"peer", why.peer}, {"reason", why.reason}});
  out.family("jobs_held", kGauge, "jobs that run and are held up or slowed down, by peer and why");
  for (const auto& [why, count] : sources.held) out.value(static_cast<double>(count), {{"peer", why.first}, {"reason", why.second}});
  out.family("jobs_finished_total", kCounter, "jobs that ended, by published, cancelled or the code of why not");
  for (const auto& [result, count] : table.finished()) out.value(static_cast<double>(count), {{"result", result}});
  out.family("last_published_timestamp_seconds", kGauge, "when a job of that class was last published below a root");
  for (const auto& [what, time] : table.last_published()) out.value(seconds(time), {{"root", what.root}, {"class", std::string(to_string(what.service))}});
}

void add_outlook(MetricsText& out, const JobOutlook::Counts& counts) {
  out.family("jobs_at_risk", kGauge, "jobs that will miss their deadline, as things stand").value(static_cast<double>(counts.at_risk));
  out.family("deadline_slack_seconds", kGauge, "the least time between a deadline and when its job is done in nine of ten days; absent without deadlines");
  if (counts.slack_least) out.value(std::chrono::duration<double>(*counts.slack_least).count());
  out.family("plan_duration_seconds", kSummary, "planning the days ahead").summary(counts.plans, std::chrono::duration<double>(counts.spent).count());
}

constexpr size_t kSeriesShown = 100;  // each is a line, and who submits names them

void add_checkpoints(MetricsText& out, const Checkpoints::Counts& counts, job::WallTime wall) {
  out.family("pins_total", kCounter, "checkpoints that were held to be sent, and those that can only be read in place");
  out.value(static_cast<double>(counts.pinned), {{"result", "pinned"}});
  out.value(static_cast<double>(counts.guarded), {{"result", "guarded"}});
  out.family("inbox_pending", kGauge, "requests in inboxes that have no answer yet").value(static_cast<double>(counts.inbox_pending));
  out.family("rpo_lag_seconds", kGauge, "age of the newest checkpoint that is published elsewhere, or of the first that is not; of a watch that has found none, of its start");
  size_t shown = 0;
  for (const auto& [series, saved] : counts.saved_at)
    if (shown++ < kSeriesShown) out.value(seconds(wall) - seconds(saved), {{"series", to_display(series)}});
  out.family("rpo_seconds", kGauge, "how old that may get, where it was said");
  shown = 0;
  for (const auto& [series, rpo] : counts.rpo)
    if (shown++ < kSeriesShown) out.value(std::chrono::duration<double>(rpo).count(), {{"series", to_display(series)}});
}

void add_service(MetricsText& out, const MetricSources& sources) {
  const auto seen = sources.room.look();
  out.family("root_free_bytes", kGauge, "what an ordinary user may still write below a root");
  for (const auto& [name, root] : seen) out.value(static_cast<double>(root.free), {{"root", name}});
  out.family("staging_bytes", kGauge, "durable in staging below a root, of transfers that are not published");
  for (const auto& [name, root] : seen) out.value(static_cast<double>(root.staged), {{"root", name}});
  const StoreThread::Stats store = sources.store.stats();
  out.family("store_duration_seconds", kSummary, "writing to the job store").summary(store.writes, std::chrono::duration<double>(store.spent).count());
  out.family("config_reload_ok", kGauge, "0: the last reload failed, and what was in force before still is").value(sources.reload == MetricSources::Reload::kOk ? 1 : 0);
  add_audit_end(out, sources.audit);
  out.family("build_info", kGauge, "always 1").value(1, {{"version", TIDEWAY_VERSION}});
}

}  // namespace

void add_sent(MetricsText& out, const std::map<std::string, session::Traffic>& traffic) {
  out.family("sent_bytes_total", kCounter, "UDP payload sent to a peer, by the class of the transfer whose data it was; other: acks, control, and what a peer calls so");
  for (const auto& [peer, of_peer] : traffic)
    for (size_t account = 0; account < kAccounts; ++account)
      out.value(static_cast<double>(of_peer.sent_of[account].count()), {{"peer", peer}, {"class", std::string(session::to_string(static_cast<Account>(account)))}});
}

// Whoever keeps what he scrapes has noted elsewhere how far the log went.
void add_audit_end(MetricsText& out, const std::optional<ChainEnd>& end) {
  if (!end || end->sequence == 0) return;
  out.family("audit_last_hash_info", kGauge, "always 1; number and hash of the last line of the audit log");
  out.value(1, {{"seq", std::to_string(end->sequence)}, {"hash", crypto::to_sha256_text(end->hash)}});
}

std::string metrics_of(const MetricSources& sources, Time now) {
  MetricsText out;
  const session::SessionCounts counts = sources.gateway.counts();
  add_traffic(out, counts);
  sources.paths.look(now, sources.gateway);
  sources.paths.add_to(out, sources.gateway, sources.peers.peers());
  add_engine(out, sources.gateway, sources.load, now);
  add_ports(out, sources.gateway.engine());
  add_disk(out, sources.gateway, counts);
  add_sessions(out, counts);
  add_jobs(out, sources);
  add_outlook(out, sources.outlook.counts());
  add_checkpoints(out, sources.checkpoints.counts(), sources.wall);
  add_service(out, sources);
  add_tide(out, sources.tide, now);
  return out.text();
}

}  // namespace tideway::daemon
