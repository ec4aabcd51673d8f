// SPDX-License-Identifier: Apache-2.0
//
// The C functions of tideway/client.h. Each checks what came, and lets no exception out.
// Thread: any.
#include "client/boundary.h"
#include "client/inbox.h"
#include "client/requests.h"
#include "client/stream.h"

#include <sys/random.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

struct tideway_client {
  std::shared_ptr<tideway::client::Line> line;
  std::shared_ptr<tideway::client::Outbox> outbox;
  tideway::client::Gateway gateway;  // of the calls that block
  pid_t pid;
  bool is_disabled;
};

struct tideway_ticket {
  std::shared_ptr<tideway::client::Ticket> ticket;
  std::shared_ptr<tideway::client::Outbox> outbox;
  std::weak_ptr<tideway::client::Item> item;
  tideway::client::Gateway gateway;
};

struct tideway_stream {
  std::shared_ptr<tideway::client::Ticket> ticket;
  std::shared_ptr<tideway::client::StreamRequest> request;  // none while disabled
  std::shared_ptr<tideway::client::Outbox> outbox;
  std::string api;
  pid_t pid;
};

namespace tideway::client {
namespace {

constexpr size_t kSubmissionIdMax = 128, kTargetsMax = 16, kListMax = 10'000;
constexpr const char* kSocketDefault = "/run/tideway/api.sock";

Trouble usage(std::string detail) { return trouble_of(Fault::kUsage, std::move(detail), "see tideway/client.h"); }

std::string of_environment(const char* name) {
  const char* found = ::secure_getenv(name);
  return found == nullptr ? std::string() : found;
}

std::string text_or(const char* text, std::string otherwise = {}) { return text == nullptr ? std::move(otherwise) : std::string(text); }

// As much of what the caller knows as he has; the rest is nothing.
template <typename Given>
Given taken(const Given* given) {
  Given own{};
  if (given != nullptr) std::memcpy(&own, given, std::min(given->size, sizeof own));
  return own;
}

std::optional<Trouble> read_list(const char* const* texts, size_t count, std::vector<std::string>& into) {
  if (count > kListMax || (count > 0 && texts == nullptr)) return usage("a list of " + std::to_string(count) + " texts cannot be");
  for (size_t i = 0; i < count; ++i) {
    if (texts[i] == nullptr || *texts[i] == 0) return usage("text " + std::to_string(i) + " of a list is empty");
    into.emplace_back(texts[i]);
  }
  return std::nullopt;
}

void put(Json& json, const char* name, const char* text) {
  if (text != nullptr) json[name] = text;
}

// Without a look at the file system, which may stand still.
std::string absolute(const std::string& path) {
  char folder[PATH_MAX];
  std::string found = path.starts_with('/') || ::getcwd(folder, sizeof folder) == nullptr ? path : std::string(folder) + '/' + path;
  while (found.size() > 1 && found.ends_with('/')) found.pop_back();
  return found;
}

std::string new_submission_id() {
  unsigned char bytes[16] = {};
  while (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {}
  std::string id;
  for (const unsigned char byte : bytes) {
    id += "0123456789abcdef"[byte >> 4];
    id += "0123456789abcdef"[byte & 15];
  }
  return id;
}

std::optional<Trouble> check(const tideway_client* client) {
  if (client == nullptr) return usage("the client is NULL");
  if (client->pid != ::getpid()) return trouble_of(Fault::kUnsupported, "this client was opened before fork()", "open one in the child");
  return std::nullopt;
}

// Into the queue with it. The queue being full is the ticket's trouble and the caller's.
struct Caller {
  tideway_client* client;
  tideway_ticket** ticket;
  tideway_error* error;
};

template <typename Kind, typename Wish>
int hand_over(const Caller& caller, const std::string& id, Wish wish) {
  tideway_client* client = caller.client;
  const auto ticket = std::make_shared<Ticket>(id, client->is_disabled ? TIDEWAY_DISABLED : TIDEWAY_QUEUED);
  const auto item = client->is_disabled ? nullptr : std::make_shared<Kind>(client->line, ticket, std::move(wish));
  if (caller.ticket != nullptr) *caller.ticket = new tideway_ticket{ticket, client->outbox, item, Gateway(client->line->settings.api, kCallPatience)};
  if (client->is_disabled) return tell_success(caller.error);
  if constexpr (requires { item->follow(); }) item->follow();
  if (const auto trouble = client->outbox->put(item)) return tell(caller.error, *trouble);
  return tell_success(caller.error);
}

std::optional<Trouble> read_job(const tideway_job* given, JobWish& wish, std::string& id) {
  if (given == nullptr) return usage("the job is NULL");
  const tideway_job job = taken(given);
  if (auto trouble = read_list(job.sources, job.source_count, wish.sources)) return trouble;
  wish.destination = text_or(job.destination);
  if (wish.sources.empty() || wish.destination.empty()) return usage("a job needs sources and a destination");
  wish.rest = Json::object();
  put(wish.rest, "class", job.job_class);
  put(wish.rest, "compress", job.compress);
  put(wish.rest, "verify", job.verify);
  put(wish.rest, "deadline", job.deadline);
  id = text_or(job.submission_id, new_submission_id());
  if (id.empty() || id.size() > kSubmissionIdMax || id.find('/') != id.npos || id.front() == '.') return usage("a submission_id is a name without / of at most 128 bytes");
  return std::nullopt;
}

std::optional<Trouble> read_checkpoint(const tideway_checkpoint* given, CheckpointWish& wish) {
  if (given == nullptr) return usage("the checkpoint is NULL");
  const tideway_checkpoint checkpoint = taken(given);
  std::vector<std::string> to, pointers;
  if (auto trouble = read_list(checkpoint.to, checkpoint.to_count, to)) return trouble;
  if (auto trouble = read_list(checkpoint.pointers, checkpoint.pointer_count, pointers)) return trouble;
  wish.path = text_or(checkpoint.path);
  wish.series = text_or(checkpoint.series);
  if (wish.path.empty() || to.empty() || to.size() > kTargetsMax) return usage("a checkpoint needs a path, and from 1 to 16 places to go");
  for (const std::string& target : to)
    if (target.find(':') == target.npos) return usage(target + " is no peer:root/path");
  if (!is_named(wish.path)) wish.path = absolute(wish.path);
  wish.is_pinned = checkpoint.pin == TIDEWAY_PIN_AUTO;
  wish.rest = {{"to", to}, {"format", text_or(checkpoint.format, "auto")}, {"publish", text_or(checkpoint.publish, "rename")}, {"supersede", text_or(checkpoint.supersede, "latest")}};
  if (!pointers.empty()) wish.rest["pointers"] = pointers;
  if (checkpoint.step != nullptr) wish.rest["step"] = *checkpoint.step;
  if (checkpoint.keep != 0) wish.rest["keep"] = checkpoint.keep;
  if (checkpoint.world != 0) wish.rest["world"] = checkpoint.world;
  put(wish.rest, "deadline", checkpoint.deadline);
  put(wish.rest, "rpo", checkpoint.rpo);
  return std::nullopt;
}

// root:path of a path here, for calls that block.
std::optional<Trouble> name_place(const Gateway& gateway, std::string& path) {
  if (is_named(path)) return std::nullopt;
  std::optional<Trouble> trouble;
  const auto place = place_below(real_path(path), gateway.roots(trouble));
  if (trouble) return trouble;
  if (!place) return trouble_of(Fault::kUsage, path + " lies below no root of the gateway", "see GET /v1/roots, or write root:path");
  path = place->text() + (path.ends_with('/') && !place->below.empty() ? "/" : "");
  return std::nullopt;
}

// The answer to what was asked, and then the end of its jobs.
int wait_for(const tideway_client& client, const Reply& reply, double timeout, tideway_error* error) {
  if (!reply.ok()) return tell(error, *reply.trouble);
  Ticket ticket(text_of(reply.json, "id"), TIDEWAY_QUEUED);
  ticket.on_answer(reply.json);
  const auto trouble = ticket.wait(client.gateway, TIDEWAY_PUBLISHED, timeout);
  return trouble ? tell(error, *trouble) : tell_success(error);
}

int copy(const tideway_client& client, const tideway_job* job, double timeout, tideway_error* error) {
  JobWish wish;
  std::string id;
  if (const auto trouble = read_job(job, wish, id)) return tell(error, *trouble);
  if (client.is_disabled) return tell_success(error);
  for (std::string& source : wish.sources)
    if (const auto trouble = name_place(client.gateway, source)) return tell(error, *trouble);
  if (const auto trouble = name_place(client.gateway, wish.destination)) return tell(error, *trouble);
  wish.rest["sources"] = wish.sources;
  wish.rest["destination"] = wish.destination;
  wish.rest["submission_id"] = id;
  wish.rest["patience"] = "command";
  return wait_for(client, client.gateway.ask("POST", "/v1/jobs", wish.rest), timeout, error);
}

int restore(const tideway_client& client, const tideway_restore_job* given, double timeout, tideway_error* error) {
  if (given == nullptr) return tell(error, usage("the restore is NULL"));
  const tideway_restore_job wish = taken(given);
  std::vector<std::string> include;
  if (const auto trouble = read_list(wish.include, wish.include_count, include)) return tell(error, *trouble);
  std::string destination = text_or(wish.destination);
  const std::string series = text_or(wish.series);
  if (series.empty() || destination.empty()) return tell(error, usage("a restore needs a series and a destination"));
  if (client.is_disabled) return tell_success(error);
  if (const auto trouble = name_place(client.gateway, destination)) return tell(error, *trouble);
  Json body{{is_named(series) ? "from" : "series", series}, {"dst", destination}, {"step", "latest"}, {"fallback", wish.fallback != 0}, {"patience", "command"}};
  if (wish.step != nullptr) body["step"] = *wish.step;
  if (!include.empty()) body["include"] = include;
  return wait_for(client, client.gateway.ask("POST", "/v1/restore", body), timeout, error);
}

int cancel(tideway_ticket& ticket, tideway_error* error) {
  const Trouble cancelled = trouble_of(Fault::kCancelled, ticket.ticket->id() + " was cancelled");
  const auto item = ticket.item.lock();
  if (const auto stream = std::dynamic_pointer_cast<StreamRequest>(item)) {
    stream->abort();  // by the queue's thread, which tells the gateway; one that is in work may be through before it sees that
    if (ticket.outbox->hurry(*stream)) {
      ticket.ticket->on_trouble(cancelled);
      return tell_success(error);
    }
  } else if (item && ticket.outbox->remove(*item)) {
    item->end(TIDEWAY_FAILED, cancelled);
    item->part();
    return tell_success(error);
  }
  if (const std::string inbox = ticket.ticket->inbox(); ticket.ticket->jobs().empty() && !inbox.empty() && remove_request(inbox, ticket.ticket->id())) {
    ticket.ticket->on_trouble(cancelled);
    return tell_success(error);
  }
  if (const auto trouble = ticket.ticket->refresh(ticket.gateway)) return tell(error, *trouble);
  if (ticket.ticket->state() >= TIDEWAY_PUBLISHED) return tell_success(error);
  const auto jobs = ticket.ticket->jobs();
  if (jobs.empty()) return tell(error, trouble_of(Fault::kOverloaded, ticket.ticket->id() + " is on its way to the gateway", "try again in a moment"));
  for (const std::string& job : jobs)
    if (const Reply reply = ticket.gateway.ask("POST", "/v1/jobs/" + job + "/cancel"); !reply.ok()) return tell(error, *reply.trouble);
  const auto trouble = ticket.ticket->refresh(ticket.gateway);
  return trouble ? tell(error, *trouble) : tell_success(error);
}

std::optional<Trouble> check(const tideway_stream* stream) {
  if (stream == nullptr) return usage("the stream is NULL");
  if (stream->pid != ::getpid()) return trouble_of(Fault::kUnsupported, "this stream was opened before fork()", "open one in the child");
  return std::nullopt;
}

int open_stream(tideway_client& client, CheckpointWish wish, tideway_stream** stream, tideway_error* error) {
  auto ticket = std::make_shared<Ticket>(new_submission_id(), client.is_disabled ? TIDEWAY_DISABLED : TIDEWAY_QUEUED);
  auto request = client.is_disabled ? nullptr : std::make_shared<StreamRequest>(client.line, ticket, std::move(wish));
  if (request)
    if (const auto trouble = client.outbox->put(request)) return tell(error, *trouble);
  *stream = new tideway_stream{std::move(ticket), std::move(request), client.outbox, client.line->settings.api, client.pid};
  return tell_success(error);
}

}  // namespace
}  // namespace tideway::client

using namespace tideway::client;  // NOLINT(google-build-using-namespace): the functions below have C names
using tideway::Fault;

struct tideway_client* tideway_client_open(const struct tideway_settings* settings, struct tideway_error* error) {
  tideway_client* client = nullptr;
  guarded(error, [&] {
    const tideway_settings given = taken(settings);
    const auto named = [](const char* text, const char* variable, const char* otherwise) {
      const std::string found = text_or(text, of_environment(variable));
      return found.empty() ? std::string(otherwise) : found;
    };
    const Settings own{named(given.api, "TIDEWAY_API", kSocketDefault), named(given.inbox, "TIDEWAY_INBOX", "")};
    const std::string disabled = of_environment("TIDEWAY_DISABLE");
    client = new tideway_client{std::make_shared<Line>(own), std::make_shared<Outbox>(), Gateway(own.api, kCallPatience), ::getpid(), !disabled.empty() && disabled != "0"};
    return tell_success(error);
  });
  return client;
}

int tideway_client_flush(struct tideway_client* client, double seconds, struct tideway_error* error) {
  return guarded(error, [&] {
    if (const auto trouble = check(client)) return tell(error, *trouble);
    client->line->reach.retry();
    if (client->outbox->flush(seconds)) return tell_success(error);
    return tell(error, trouble_of(Fault::kDeadline, std::to_string(client->outbox->waiting()) + " requests are in memory still; the latest trouble: " + client->line->latest().detail));
  });
}

void tideway_client_close(struct tideway_client* client, double seconds) {
  guarded(nullptr, [&] {
    if (check(client)) return 0;
    if (client->outbox->waiting() > 0) {
      client->line->reach.retry();
      client->outbox->flush(seconds < 0 ? 0 : seconds);
    }
    client->outbox->finish();
    delete client;
    return 0;
  });
}

int tideway_client_counts(struct tideway_client* client, struct tideway_counts* counts, struct tideway_error* latest) {
  return guarded(latest, [&] {
    if (const auto trouble = check(client)) return tell(latest, *trouble);
    const Line& line = *client->line;
    if (counts != nullptr) {
      const tideway_counts found{counts->size, client->outbox->waiting(), line.counts.accepted, line.counts.stored, line.counts.refused, client->outbox->dropped(),
                                 line.reach.unanswered(), line.counts.unpinned};
      std::memcpy(counts, &found, std::min(counts->size, sizeof found));
    }
    tell_success(latest);
    if (const Trouble trouble = line.latest(); !trouble.code.empty()) tell(latest, trouble);
    return 0;
  });
}

int tideway_submit(struct tideway_client* client, const struct tideway_job* job, struct tideway_ticket** ticket, struct tideway_error* error) {
  if (ticket != nullptr) *ticket = nullptr;
  return guarded(error, [&] {
    JobWish wish;
    std::string id;
    if (const auto trouble = check(client)) return tell(error, *trouble);
    if (const auto trouble = read_job(job, wish, id)) return tell(error, *trouble);
    return hand_over<Submission>({client, ticket, error}, id, std::move(wish));
  });
}

int tideway_copy(struct tideway_client* client, const struct tideway_job* job, double timeout, struct tideway_error* error) {
  return guarded(error, [&] {
    const auto trouble = check(client);
    return trouble ? tell(error, *trouble) : copy(*client, job, timeout, error);
  });
}

int tideway_replicate_checkpoint(struct tideway_client* client, const struct tideway_checkpoint* checkpoint, struct tideway_ticket** ticket, struct tideway_error* error) {
  if (ticket != nullptr) *ticket = nullptr;
  return guarded(error, [&] {
    CheckpointWish wish;
    if (const auto trouble = check(client)) return tell(error, *trouble);
    if (const auto trouble = read_checkpoint(checkpoint, wish)) return tell(error, *trouble);
    return hand_over<CheckpointRequest>({client, ticket, error}, new_submission_id(), std::move(wish));
  });
}

int tideway_stream_open(struct tideway_client* client, const struct tideway_checkpoint* checkpoint, struct tideway_stream** stream, struct tideway_error* error) {
  if (stream != nullptr) *stream = nullptr;
  return guarded(error, [&] {
    CheckpointWish wish;
    if (const auto trouble = check(client)) return tell(error, *trouble);
    if (stream == nullptr) return tell(error, usage("a stream needs a place to be put"));
    if (const auto trouble = read_checkpoint(checkpoint, wish)) return tell(error, *trouble);
    return open_stream(*client, std::move(wish), stream, error);
  });
}

int tideway_stream_declare(struct tideway_stream* stream, const struct tideway_range* range, struct tideway_error* error) {
  return guarded(error, [&] {
    if (const auto trouble = check(stream)) return tell(error, *trouble);
    if (!stream->request) return tell_success(error);
    const tideway_range given = taken(range);  // of NULL it has no length
    if (const auto trouble = stream->request->declare({text_or(given.file), given.offset, given.length})) return tell(error, *trouble);
    stream->outbox->hurry(*stream->request);
    return tell_success(error);
  });
}

int tideway_stream_complete(struct tideway_stream* stream, struct tideway_ticket** ticket, struct tideway_error* error) {
  if (ticket != nullptr) *ticket = nullptr;
  return guarded(error, [&] {
    if (const auto trouble = check(stream)) return tell(error, *trouble);
    const std::unique_ptr<tideway_stream> last(stream);
    if (ticket != nullptr) *ticket = new tideway_ticket{last->ticket, last->outbox, last->request, Gateway(last->api, kCallPatience)};
    if (!last->request) return tell_success(error);
    last->request->complete();
    last->outbox->hurry(*last->request);
    return tell_success(error);
  });
}

void tideway_stream_abort(struct tideway_stream* stream) {
  guarded(nullptr, [&] {
    if (check(stream)) return 0;
    const std::unique_ptr<tideway_stream> last(stream);
    if (!last->request) return 0;
    last->request->abort();
    last->outbox->hurry(*last->request);
    return 0;
  });
}

int tideway_restore(struct tideway_client* client, const struct tideway_restore_job* job, double timeout, struct tideway_error* error) {
  return guarded(error, [&] {
    const auto trouble = check(client);
    return trouble ? tell(error, *trouble) : restore(*client, job, timeout, error);
  });
}

int tideway_report_iteration(struct tideway_client* client, const char* training, double seconds, struct tideway_error* error) {
  return guarded(error, [&] {
    if (const auto trouble = check(client)) return tell(error, *trouble);
    if (training == nullptr || *training == 0 || !(seconds >= 0)) return tell(error, usage("an iteration needs its training, and took 0 s or more"));
    if (client->is_disabled) return tell_success(error);
    const auto trouble = client->outbox->put(std::make_shared<Iterations>(client->line, training, seconds));
    return trouble ? tell(error, *trouble) : tell_success(error);
  });
}

enum tideway_state tideway_ticket_state(const struct tideway_ticket* ticket) { return ticket == nullptr ? TIDEWAY_FAILED : ticket->ticket->state(); }
const char* tideway_ticket_id(const struct tideway_ticket* ticket) { return ticket == nullptr ? "" : ticket->ticket->id().c_str(); }

int tideway_ticket_wait(struct tideway_ticket* ticket, enum tideway_state state, double timeout, struct tideway_error* error) {
  return guarded(error, [&] {
    if (ticket == nullptr) return tell(error, usage("the ticket is NULL"));
    const auto trouble = ticket->ticket->wait(ticket->gateway, state, timeout);
    return trouble ? tell(error, *trouble) : tell_success(error);
  });
}

int tideway_ticket_cancel(struct tideway_ticket* ticket, struct tideway_error* error) {
  return guarded(error, [&] { return ticket == nullptr ? tell(error, usage("the ticket is NULL")) : cancel(*ticket, error); });
}

void tideway_ticket_free(struct tideway_ticket* ticket) { delete ticket; }
