// Lists whose links lie in their elements: linking needs no memory and cannot fail. No list has a lock; the owner of a
// list says what guards it. For each link that an element has, the element is in one list at a time.
//
// Stack: last in, first out. Queue: first in, first out, and knows its length. Both link by the element's `next`.
// LinkedList: removes any element in constant time, by a member of type `Links` that the list names.
#ifndef ACALL_CORE_BASE_INTRUSIVE_LIST_H_
#define ACALL_CORE_BASE_INTRUSIVE_LIST_H_

#include <cstdint>
#include <utility>

namespace acall {

// Goes from element to element. An element must stay in the list until the iterator has left it.
template <typename T, typename Step>
class ListIterator {
 public:
  explicit ListIterator(T* at) : at_(at) {}
  T& operator*() const { return *at_; }
  ListIterator& operator++() {
    at_ = Step()(*at_);
    return *this;
  }
  bool operator!=(const ListIterator& other) const { return at_ != other.at_; }

 private:
  T* at_;
};

template <typename T>
struct StepByNext {
  T* operator()(const T& element) const { return element.next; }
};

template <typename T>
class Stack {
 public:
  bool is_empty() const { return first_ == nullptr; }
  T* first() const { return first_; }
  void push(T& element) {
    element.next = first_;
    first_ = &element;
  }
  // nullptr: there is none.
  T* pop() {
    T* element = first_;
    if (element != nullptr) first_ = std::exchange(element->next, nullptr);
    return element;
  }
  // Searches from the front. False: the element is not in this list.
  bool remove(T& element) {
    for (T** link = &first_; *link != nullptr; link = &(*link)->next) {
      if (*link != &element) continue;
      *link = std::exchange(element.next, nullptr);
      return true;
    }
    return false;
  }
  // The stack is empty from now on; the elements keep their links.
  void clear() { first_ = nullptr; }

  using Iterator = ListIterator<T, StepByNext<T>>;
  Iterator begin() const { return Iterator(first_); }
  Iterator end() const { return Iterator(nullptr); }

 private:
  T* first_ = nullptr;
};

template <typename T>
class Queue {
 public:
  bool is_empty() const { return first_ == nullptr; }
  uint32_t length() const { return length_; }
  T* first() const { return first_; }
  void push_front(T& element) {
    element.next = first_;
    first_ = &element;
    if (last_ == nullptr) last_ = &element;
    ++length_;
  }
  void push_back(T& element) {
    element.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &element;
    last_ = &element;
    ++length_;
  }
  // Takes all elements of another queue, which must not be empty.
  void append(Queue& from) {
    (last_ == nullptr ? first_ : last_->next) = from.first_;
    last_ = from.last_;
    length_ += from.length_;
    from = Queue();
  }
  // nullptr: there is none.
  T* pop() {
    T* element = first_;
    if (element == nullptr) return nullptr;
    first_ = std::exchange(element->next, nullptr);
    if (first_ == nullptr) last_ = nullptr;
    --length_;
    return element;
  }
  // Searches from the front. False: the element is not in this list.
  bool remove(T& element) {
    T* previous = nullptr;
    for (T* at = first_; at != nullptr; previous = at, at = at->next) {
      if (at != &element) continue;
      (previous == nullptr ? first_ : previous->next) = std::exchange(element.next, nullptr);
      if (last_ == at) last_ = previous;
      --length_;
      return true;
    }
    return false;
  }
  // Empties the queue and returns its elements, linked by `next`.
  T* take_all() { return std::exchange(*this, Queue()).first_; }

  using Iterator = ListIterator<T, StepByNext<T>>;
  Iterator begin() const { return Iterator(first_); }
  Iterator end() const { return Iterator(nullptr); }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
  uint32_t length_ = 0;
};

template <typename T>
struct Links {
  T* previous = nullptr;
  T* next = nullptr;
};

template <typename T, Links<T> T::*kLinks>
class LinkedList {
 public:
  bool is_empty() const { return first_ == nullptr; }
  uint32_t length() const { return length_; }
  T* first() const { return first_; }
  T* last() const { return last_; }
  void push_front(T& element) {
    element.*kLinks = {nullptr, first_};
    (first_ == nullptr ? last_ : (first_->*kLinks).previous) = &element;
    first_ = &element;
    ++length_;
  }
  void push_back(T& element) {
    element.*kLinks = {last_, nullptr};
    (last_ == nullptr ? first_ : (last_->*kLinks).next) = &element;
    last_ = &element;
    ++length_;
  }
  // The element must be in this list.
  void remove(T& element) {
    const Links<T> links = std::exchange(element.*kLinks, {});
    (links.previous == nullptr ? first_ : (links.previous->*kLinks).next) = links.next;
    (links.next == nullptr ? last_ : (links.next->*kLinks).previous) = links.previous;
    --length_;
  }
  // nullptr: there is none.
  T* pop_front() {
    T* element = first_;
    if (element != nullptr) remove(*element);
    return element;
  }
  static T* before(const T& element) { return (element.*kLinks).previous; }
  static T* after(const T& element) { return (element.*kLinks).next; }

  struct Step {
    T* operator()(const T& element) const { return after(element); }
  };
  using Iterator = ListIterator<T, Step>;
  Iterator begin() const { return Iterator(first_); }
  Iterator end() const { return Iterator(nullptr); }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
  uint32_t length_ = 0;
};

}  // namespace acall

#endif  // ACALL_CORE_BASE_INTRUSIVE_LIST_H_
