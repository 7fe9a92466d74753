// acall_cancel: its answers, the calls it interrupts, the calls it leaves alone, and the moment before the instruction.
#include "threads/cancel.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/signals.h"
#include "check.h"
#include "support.h"
#include "temporary.h"
#include "threads/invoke.h"
#include "threads/threads.h"

extern "C" {
extern const char acall_cp_begin[];
extern const char acall_cp_end[];
extern const char acall_cp_cancel[];
}

using namespace support;

namespace {

uint64_t fd_arg(int fd) { return static_cast<uint64_t>(fd); }

// Whether a thread of acall is in this call with this first argument now, by /proc.
bool somebody_is_in(const acall_submission& submission) {
  bool found = false;
  DIR* tasks = opendir("/proc/self/task");
  while (dirent* entry = readdir(tasks)) {
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/syscall", entry->d_name);
    FILE* file = fopen(path, "re");
    unsigned long number, first;
    if (file == nullptr) continue;
    found |= fscanf(file, "%lu 0x%lx", &number, &first) == 2 && number == submission.nr &&
             (first == submission.args[0] || submission.nr == SYS_rt_sigtimedwait) && atoi(entry->d_name) != gettid();
    fclose(file);
  }
  closedir(tasks);
  return found;
}

struct Descriptors {
  std::vector<int> open;
  int keep(int fd) {
    if (fd < 0) abort();
    open.push_back(fd);
    return fd;
  }
  ~Descriptors() {
    for (int fd : open) close(fd);
  }
};

struct Blocking {
  const char* name;
  std::function<acall_submission(House&, Descriptors&)> make;
};

std::string temporary(const char* name) {
  static const struct Folder {
    std::string path = support::make_temporary();
    ~Folder() {
      if (system(("rm -rf '" + path + "'").c_str()) != 0) abort();
    }
  } folder;
  return folder.path + "/" + name;
}

int listening_socket(Descriptors& descriptors) {
  int fd = descriptors.keep(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;  // autobind: an abstract name
  CHECK_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);
  listen(fd, 4);
  return fd;
}

int other_end_open(Descriptors& descriptors, bool read_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  descriptors.keep(ends[0]);
  descriptors.keep(ends[1]);
  return ends[read_end ? 0 : 1];
}

const Blocking kBlocking[] = {
    {"read of a pipe",
     [](House& h, Descriptors& d) {
       return call(0, SYS_read, {fd_arg(other_end_open(d, true)), address_of(h.alloc(16)), 1});
     }},
    {"readv of a pipe",
     [](House& h, Descriptors& d) {
       auto* vector = h.make<uint64_t>(2);
       vector[0] = address_of(h.alloc(16));
       vector[1] = 16;
       return call(0, SYS_readv, {fd_arg(other_end_open(d, true)), address_of(vector), 1});
     }},
    {"write to a full pipe",
     [](House& h, Descriptors& d) {
       int fd = other_end_open(d, false);
       fcntl(fd, F_SETPIPE_SZ, 4096);
       char page[4096] = {};
       if (write(fd, page, sizeof page) != sizeof page) abort();
       return call(0, SYS_write, {fd_arg(fd), address_of(h.alloc(16)), 1});
     }},
    {"open of a FIFO",
     [](House& h, Descriptors&) {
       std::string path = temporary("fifo");
       mkfifo(path.c_str(), 0600);
       return call(0, SYS_openat, {fd_arg(AT_FDCWD), address_of(h.text(path.c_str())), O_RDONLY | O_CLOEXEC, 0});
     }},
    {"flock",
     [](House&, Descriptors& d) {
       std::string path = temporary("flock");
       int holder = d.keep(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
       flock(holder, LOCK_EX);
       return call(0, SYS_flock, {fd_arg(d.keep(open(path.c_str(), O_RDWR | O_CLOEXEC))), LOCK_EX});
     }},
    {"F_OFD_SETLKW",
     [](House& h, Descriptors& d) {
       std::string path = temporary("ofd");
       int holder = d.keep(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
       struct flock whole {};
       whole.l_type = F_WRLCK;
       fcntl(holder, F_OFD_SETLK, &whole);
       auto* wanted = h.make<struct flock>();
       *wanted = whole;
       return call(0, SYS_fcntl,
                   {fd_arg(d.keep(open(path.c_str(), O_RDWR | O_CLOEXEC))), F_OFD_SETLKW, address_of(wanted)});
     }},
    {"nanosleep",
     [](House& h, Descriptors&) {
       auto* span = h.make<timespec>();
       *span = {1000, 0};
       return call(0, SYS_nanosleep, {address_of(span), 0});
     }},
    {"clock_nanosleep",
     [](House& h, Descriptors&) {
       auto* span = h.make<timespec>();
       *span = {1000, 0};
       return call(0, SYS_clock_nanosleep, {CLOCK_MONOTONIC, 0, address_of(span), address_of(h.make<timespec>())});
     }},
    {"futex",
     [](House& h, Descriptors&) {
       return call(0, SYS_futex, {address_of(h.make<uint32_t>()), FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, 0});
     }},
    {"epoll_pwait",
     [](House& h, Descriptors& d) {
       return call(
           0, SYS_epoll_pwait,
           {fd_arg(d.keep(epoll_create1(EPOLL_CLOEXEC))), address_of(h.make<epoll_event>()), 1, fd_arg(-1), 0, 8});
     }},
    {"epoll_pwait with every signal masked",
     [](House& h, Descriptors& d) {
       auto* mask = h.make<uint64_t>();
       *mask = ~uint64_t{0};
       return call(0, SYS_epoll_pwait,
                   {fd_arg(d.keep(epoll_create1(EPOLL_CLOEXEC))), address_of(h.make<epoll_event>()), 1, fd_arg(-1),
                    address_of(mask), 8});
     }},
    {"ppoll with every signal masked",
     [](House& h, Descriptors& d) {
       auto* mask = h.make<uint64_t>();
       *mask = ~uint64_t{0};
       auto* poll = h.make<pollfd>();
       *poll = {other_end_open(d, true), POLLIN, 0};
       return call(0, SYS_ppoll, {address_of(poll), 1, 0, address_of(mask), 8});
     }},
    {"pselect6 with every signal masked",
     [](House& h, Descriptors& d) {
       auto* mask = h.make<uint64_t>();
       *mask = ~uint64_t{0};
       auto* pack = h.make<uint64_t>(2);
       pack[0] = address_of(mask);
       pack[1] = 8;
       int fd = other_end_open(d, true);
       auto* set = static_cast<uint64_t*>(h.alloc(128));
       set[fd / 64] |= 1ull << (fd % 64);
       return call(0, SYS_pselect6, {static_cast<uint64_t>(fd) + 1, address_of(set), 0, 0, 0, address_of(pack)});
     }},
    {"accept4",
     [](House&, Descriptors& d) {
       return call(0, SYS_accept4, {fd_arg(listening_socket(d)), 0, 0, SOCK_CLOEXEC});
     }},
    {"recvfrom",
     [](House& h, Descriptors& d) {
       int ends[2];
       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
       d.keep(ends[0]);
       d.keep(ends[1]);
       return call(0, SYS_recvfrom, {fd_arg(ends[0]), address_of(h.alloc(16)), 16, 0, 0, 0});
     }},
    {"recvmsg",
     [](House& h, Descriptors& d) {
       int ends[2];
       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
       d.keep(ends[0]);
       d.keep(ends[1]);
       auto* vector = h.make<iovec>();
       *vector = {h.alloc(16), 16};
       auto* message = h.make<msghdr>();
       message->msg_iov = vector;
       message->msg_iovlen = 1;
       return call(0, SYS_recvmsg, {fd_arg(ends[0]), address_of(message), 0});
     }},
    {"msgrcv",
     [](House& h, Descriptors&) {
       static int queue = msgget(IPC_PRIVATE, 0600);
       return call(0, SYS_msgrcv, {fd_arg(queue), address_of(h.alloc(64)), 16, 0, 0});
     }},
    {"semtimedop",
     [](House& h, Descriptors&) {
       static int set = semget(IPC_PRIVATE, 1, 0600);
       auto* operation = h.make<sembuf>();
       *operation = {0, -1, 0};
       return call(0, SYS_semtimedop, {fd_arg(set), address_of(operation), 1, 0});
     }},
    {"read of an eventfd",
     [](House& h, Descriptors& d) {
       return call(0, SYS_read, {fd_arg(d.keep(eventfd(0, EFD_CLOEXEC))), address_of(h.alloc(16)), 8});
     }},
    {"read of an inotify descriptor",
     [](House& h, Descriptors& d) {
       return call(0, SYS_read, {fd_arg(d.keep(inotify_init1(IN_CLOEXEC))), address_of(h.alloc(512)), 512});
     }},
    {"read of a signalfd",
     [](House& h, Descriptors& d) {
       sigset_t set;
       sigemptyset(&set);
       sigaddset(&set, SIGWINCH);
       return call(0, SYS_read, {fd_arg(d.keep(signalfd(-1, &set, SFD_CLOEXEC))), address_of(h.alloc(512)), 128});
     }},
    {"rt_sigtimedwait",
     [](House& h, Descriptors&) {
       auto* set = h.make<uint64_t>();
       *set = ~uint64_t{0};  // the cancel signal is removed from it, or sigtimedwait would take it
       return call(0, SYS_rt_sigtimedwait, {address_of(set), 0, 0, 8});
     }},
};

// Blocks any call at the gate and ignores signals.
Gate gate;
int64_t stubborn(acall::CancelWord&, uint32_t, const uint64_t[6]) {
  gate.pass();
  return 42;
}

}  // namespace

TEST("cancel of a call that blocks returns 0 and the call ends with -EINTR, in the pool and on its own thread") {
  for (uint32_t flags : {kPool, kOwn}) {
    for (const Blocking& blocking : kBlocking) {
      House house;
      Descriptors descriptors;
      Ticket ticket(house);
      acall_submission submission = blocking.make(house, descriptors);
      submission.flags = flags;
      if (!CHECK_EQ(ticket.submit(house, submission), 1)) {
        std::fprintf(stderr, "%s, flags %u\n", blocking.name, flags);
        continue;
      }
      until([&] { return somebody_is_in(submission); });
      bool good = CHECK(!is_complete(*ticket.id));
      good &= CHECK_EQ(ticket.cancel(), 0);
      good &= CHECK_EQ(ticket.wait(), -EINTR);
      good &= CHECK_EQ(ticket.cancel(), -ENOENT);
      if (!good) std::fprintf(stderr, "%s, flags %u\n", blocking.name, flags);
    }
  }
}

TEST("cancel at any moment ends a blocking call and no other") {
  for (int round = 0; round < 3; ++round) {
    for (const Blocking& blocking : kBlocking) {
      House house;
      Descriptors descriptors;
      Ticket ticket(house), bystander(house);
      Pipe pipe;
      acall_submission submission = blocking.make(house, descriptors);
      submission.flags = round == 1 ? kOwn : kPool;
      CHECK_EQ(bystander.submit(house, call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(house.alloc(16)), 1})),
               1);
      CHECK_EQ(ticket.submit(house, submission), 1);
      for (int i = 0; i < round * 300; ++i) sched_yield();
      CHECK_EQ(ticket.cancel(), 0);
      int64_t result = ticket.wait();
      if (!CHECK(result == -EINTR || result == -ECANCELED)) std::fprintf(stderr, "%s: %ld\n", blocking.name, result);
      CHECK(!is_complete(*bystander.id));
      pipe.write_bytes();
      CHECK_EQ(bystander.wait(), 1);
    }
  }
}

TEST("the second cancel returns 0 as well, and the natural result stands when the call will not be interrupted") {
  House house;
  WithSeams seams;
  acall::seams.syscall = stubborn;
  for (uint32_t flags : {kPool, kOwn}) {
    Ticket ticket(house);
    ticket.submit(house, call(flags, SYS_getppid));
    until([] { return gate.inside() == 1; });
    for (int i = 0; i < 5; ++i) CHECK_EQ(ticket.cancel(), 0);
    CHECK(!is_complete(*ticket.id));
    gate.open();
    CHECK_EQ(ticket.wait(), 42);
    CHECK_EQ(ticket.cancel(), -ENOENT);
  }
}

TEST("close and its kind are never interrupted") {
  House house;
  WithSeams seams;
  acall::seams.syscall = stubborn;
  for (long nr : {
         SYS_close, SYS_close_range, SYS_dup3,
#if defined(__x86_64__)
             SYS_dup2,
#endif
       }) {
    for (uint32_t flags : {kPool, kOwn}) {
      Ticket ticket(house);
      CHECK_EQ(ticket.submit(house, call(flags, nr, {1000, 1000})), 1);
      until([] { return gate.inside() == 1; });
      CHECK_EQ(ticket.cancel(), -EALREADY);
      CHECK_EQ(ticket.cancel(), -EALREADY);
      gate.open();
      CHECK_EQ(ticket.wait(), 42);
    }
  }
}

TEST("an op that has returned from the kernel and is not complete yet is past cancelling") {
  House house;
  TestRing ring(house, 4);
  auto* id = house.make<acall_id>();
  ring.record->lock.lock();  // holds the completing thread between its call and the ring
  std::thread submitter([&] {
    Pipe pipe;
    pipe.write_bytes();
    acall_submission entry = call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(house.alloc(16)), 1});
    entry.cookie = 1;
    entry.id_pointer = address_of(id);
    entry.completion_pointer = address_of(house.make<acall_completion>());
    // The slot is stored before the ring: when it is there, the call has returned.
    auto* slot = reinterpret_cast<acall_completion*>(entry.completion_pointer);
    ring.record->lock.unlock();
    entry.completion_ring_pointer = address_of(ring.memory);
    house.submit(entry);
    until([&] { return result_of(*slot) == 1; });
    wait_for(*id);
  });
  submitter.join();
  CHECK_EQ(acall::engine_cancel(*id), -ENOENT);
  // Now with the lock held from the submission on: the op stays kReturned until it is unlocked.
  for (int round = 0; round < 20; ++round) {
    Pipe pipe;
    auto* slot = house.make<acall_completion>();
    acall_submission entry =
        into_ring(call(kPool, SYS_read, {fd_arg(pipe.read_end), address_of(house.alloc(16)), 1}), ring.memory, 1);
    entry.completion_pointer = address_of(slot);
    CHECK_EQ(house.submit(with_id(entry, id)), 1);
    {
      acall::Hold hold(ring.record->lock);
      pipe.write_bytes();
      until([&] { return result_of(*slot) == 1; });
      CHECK_EQ(acall::engine_cancel(*id), -EALREADY);
      CHECK_EQ(acall::engine_cancel(*id), -EALREADY);
    }
    CHECK_EQ(wait_for(*id), 1);
    acall_completion some[4];
    CHECK(ring.drain(some, 4) >= 1);
  }
}

TEST("the handler leaves by the other door before the instruction, and nowhere else") {
  struct {
    void (*handler)(int, siginfo_t*, void*);
    unsigned long flags;
    void* restorer;
    uint64_t mask;
  } action{};
  CHECK_EQ(acall::engine_start(), 0);
  CHECK_EQ(syscall(SYS_rt_sigaction, acall::cancel_signal(), nullptr, &action, 8), 0);
  CHECK_EQ(action.flags & SA_RESTART, 0u);
  CHECK(acall::cancel_handler_is_ours());
  siginfo_t info{};
  auto at = [&](uintptr_t pc) {
    ucontext_t context{};
#if defined(__x86_64__)
    context.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(pc);
#else
    context.uc_mcontext.pc = pc;
#endif
    action.handler(acall::cancel_signal(), &info, &context);
#if defined(__x86_64__)
    return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
#else
    return static_cast<uintptr_t>(context.uc_mcontext.pc);
#endif
  };
  auto begin = reinterpret_cast<uintptr_t>(acall_cp_begin), end = reinterpret_cast<uintptr_t>(acall_cp_end);
  auto door = reinterpret_cast<uintptr_t>(acall_cp_cancel);
  CHECK(end > begin);
  // A signal of that number from elsewhere cancels no call, wherever it arrives.
  for (const int code : {SI_USER, SI_QUEUE, SI_TIMER, SI_TKILL}) {
    info.si_code = code;
    info.si_pid = code == SI_TKILL ? getppid() : getpid();
    for (uintptr_t pc = begin; pc < end; ++pc) CHECK_EQ(at(pc), pc);
  }
  info.si_code = SI_TKILL;
  info.si_pid = getpid();
  for (uintptr_t pc = begin; pc < end; ++pc) CHECK_EQ(at(pc), door);
  for (uintptr_t pc : {begin - 1, end, end + 1, door, door + 1, uintptr_t{0}, ~uintptr_t{0}}) CHECK_EQ(at(pc), pc);
}

TEST("a cancel word that is set keeps the call from entering the kernel") {
  Pipe pipe;
  uint32_t word = 1;
  char byte = 'x';
  const uint64_t args[6] = {fd_arg(pipe.write_end), address_of(&byte), 1, 0, 0, 0};
  CHECK_EQ(acall_syscall_cp(&word, SYS_write, args), -ECANCELED);
  fcntl(pipe.read_end, F_SETFL, O_NONBLOCK);
  CHECK_EQ(read(pipe.read_end, &byte, 1), -1);
  word = 0;
  CHECK_EQ(acall_syscall_cp(&word, SYS_write, args), 1);
  CHECK_EQ(read(pipe.read_end, &byte, 1), 1);
}

#if defined(__x86_64__)
namespace step {

// Steps through the stub and sends the cancel signal at the n-th instruction.
thread_local int wanted, seen, sent_at_end;

void on_trap(int, siginfo_t*, void* context) {
  auto& pc = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  auto address = static_cast<uintptr_t>(pc);
  auto begin = reinterpret_cast<uintptr_t>(acall_cp_begin), end = reinterpret_cast<uintptr_t>(acall_cp_end);
  if (address < begin || address > end) return;
  if (seen++ != wanted) return;
  sent_at_end = address == end;
  syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), acall::cancel_signal());
}

int64_t walk(const uint32_t* word, const uint64_t args[6]) {
  int64_t result;
  asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "cc", "memory");
  result = acall_syscall_cp(word, SYS_write, args);
  asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "cc", "memory");
  return result;
}

}  // namespace step

TEST("a signal that lands on any instruction before the kernel is entered keeps it from being entered") {
  CHECK_EQ(acall::engine_start(), 0);
  struct sigaction action {
  }, before;
  action.sa_sigaction = step::on_trap;
  action.sa_flags = SA_SIGINFO;
  sigaddset(&action.sa_mask, acall::cancel_signal());  // delivered when the trap's handler returns into the stub
  sigaction(SIGTRAP, &action, &before);
  Pipe pipe;
  fcntl(pipe.read_end, F_SETFL, O_NONBLOCK);
  char byte = 'x';
  const uint64_t args[6] = {fd_arg(pipe.write_end), address_of(&byte), 1, 0, 0, 0};
  const uint32_t word = 0;
  int cancelled = 0, natural = 0;
  for (step::wanted = 0; step::wanted < 6; ++step::wanted) {
    step::seen = step::sent_at_end = 0;
    int64_t result = step::walk(&word, args);
    if (result == -ECANCELED) {
      ++cancelled;
      CHECK(!step::sent_at_end);
      CHECK_EQ(read(pipe.read_end, &byte, 1), -1);  // nothing has happened
    } else {
      ++natural;
      CHECK_EQ(result, 1);
      CHECK_EQ(read(pipe.read_end, &byte, 1), 1);
    }
  }
  sigaction(SIGTRAP, &before, nullptr);
  CHECK_EQ(cancelled, 3);  // cmp, jne, syscall
  CHECK(natural >= 1);
}
#endif

TEST("a thousand running ops can be cancelled at once") {
  House house(16 << 20);
  Pipe pipe;
  const uint32_t count = 1000;
  std::vector<Ticket> tickets;
  for (uint32_t i = 0; i < count; ++i) {
    tickets.emplace_back(house);
    acall_submission entry =
        call(i % 2 ? kPool : kOwn, SYS_read, {fd_arg(pipe.read_end), address_of(house.alloc(16)), 1});
    CHECK_EQ(tickets.back().submit(house, entry), 1);
  }
  until([&] { return counters().running == count; });
  for (Ticket& ticket : tickets) CHECK_EQ(ticket.cancel(), 0);
  for (Ticket& ticket : tickets) {
    int64_t result = ticket.wait();
    CHECK(result == -EINTR || result == -ECANCELED);
  }
  until([] { return counters().running == 0; });
}
