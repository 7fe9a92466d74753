// The lists of the core, compared with a vector that gets the same changes.
#include "base/intrusive_list.h"

#include <algorithm>
#include <vector>

#include "check.h"
#include "support.h"

using acall::LinkedList;
using acall::Links;
using acall::Queue;
using acall::Stack;

namespace {

struct Thing {
  Thing* next = nullptr;
  Links<Thing> links;
  Links<Thing> others;
};
using Things = LinkedList<Thing, &Thing::links>;
using Others = LinkedList<Thing, &Thing::others>;
using Model = std::vector<Thing*>;

constexpr uint32_t kThings = 12;

template <typename List>
bool holds(const List& list, const Model& model) {
  Model found;
  for (Thing& thing : list) found.push_back(&thing);
  return found == model && list.is_empty() == model.empty() && list.first() == (model.empty() ? nullptr : model[0]);
}

bool contains(const Model& model, const Thing& thing) {
  return std::find(model.begin(), model.end(), &thing) != model.end();
}

Thing* take_first(Model& model) {
  if (model.empty()) return nullptr;
  Thing* first = model.front();
  model.erase(model.begin());
  return first;
}

}  // namespace

TEST("a stack gives the last one first, and takes out any") {
  Thing things[kThings];
  Stack<Thing> stack;
  Model model;
  support::Random random(1);
  for (int round = 0; round < 20'000; ++round) {
    Thing& thing = things[random.below(kThings)];
    const bool is_here = contains(model, thing);
    if (random.below(4) == 0) {
      CHECK_EQ(stack.pop(), take_first(model));
    } else if (random.below(2) == 0) {
      CHECK_EQ(stack.remove(thing), is_here);
      if (is_here) std::erase(model, &thing);
    } else if (!is_here) {
      stack.push(thing);
      model.insert(model.begin(), &thing);
    }
    if (!CHECK(holds(stack, model))) return;
  }
  stack.clear();
  CHECK(stack.is_empty());
}

TEST("a queue gives the first one first, takes in whole chains, takes out any, and counts") {
  Thing things[kThings];
  Queue<Thing> queue;
  Model model;
  support::Random random(2);
  for (int round = 0; round < 20'000; ++round) {
    Thing& thing = things[random.below(kThings)];
    Thing& other = things[random.below(kThings)];
    const bool is_here = contains(model, thing);
    switch (random.below(5)) {
      case 0:
        CHECK_EQ(queue.pop(), take_first(model));
        break;
      case 1:
        CHECK_EQ(queue.remove(thing), is_here);
        if (is_here) std::erase(model, &thing);
        break;
      case 2:
        if (is_here) break;
        queue.push_front(thing);
        model.insert(model.begin(), &thing);
        break;
      case 3:
        if (is_here || contains(model, other) || &thing == &other) break;
        {
          Queue<Thing> more;
          more.push_back(thing);
          more.push_back(other);
          queue.append(more);
          CHECK(more.is_empty());
        }
        model.insert(model.end(), {&thing, &other});
        break;
      default:
        if (is_here) break;
        queue.push_back(thing);
        model.push_back(&thing);
    }
    if (random.below(50) == 0) {
      Model taken;
      for (Thing* at = queue.take_all(); at != nullptr; at = at->next) taken.push_back(at);
      CHECK(taken == model);
      model.clear();
    }
    CHECK_EQ(queue.length(), model.size());
    if (!CHECK(holds(queue, model))) return;
  }
}

TEST("a linked list knows both ends and all neighbours, and an element is in several at once") {
  Thing things[kThings];
  Things list;
  Others others;
  Model model, other_model;
  support::Random random(3);
  for (int round = 0; round < 20'000; ++round) {
    Thing& thing = things[random.below(kThings)];
    if (random.below(8) == 0) {
      CHECK_EQ(list.pop_front(), take_first(model));
    } else if (contains(model, thing)) {
      list.remove(thing);
      std::erase(model, &thing);
    } else if (random.below(2) == 0) {
      list.push_front(thing);
      model.insert(model.begin(), &thing);
    } else {
      list.push_back(thing);
      model.push_back(&thing);
    }
    Thing& second = things[random.below(kThings)];
    if (contains(other_model, second)) {
      others.remove(second);
      std::erase(other_model, &second);
    } else {
      others.push_back(second);
      other_model.push_back(&second);
    }
    CHECK_EQ(list.length(), model.size());
    CHECK_EQ(list.last(), model.empty() ? nullptr : model.back());
    for (size_t i = 0; i < model.size(); ++i) {
      CHECK_EQ(Things::before(*model[i]), i == 0 ? nullptr : model[i - 1]);
      CHECK_EQ(Things::after(*model[i]), i + 1 == model.size() ? nullptr : model[i + 1]);
    }
    if (!CHECK(holds(list, model)) || !CHECK(holds(others, other_model))) return;
  }
}
