# fmp4streamer: one Makefile, everything under $(BUILD).
#
#   make                       the tools, as a user builds them
#   make test                  every test that needs no packages beyond scripts/test's list
#   make STRICT=1              warnings are errors (what our own builds use)
#   make BUILD=build/asan SAN=address,undefined
#   make install PREFIX=/usr/local
#   make fuzz TIME=60 [TARGET=misb]    every fuzzer, or one, for so many seconds
#   make stress TIME=60        a ring's writer flat out and 16 readers
VERSION = 0.1.0
PREFIX ?= /usr/local
BUILD ?= build
CFLAGS ?= -O2 -g
FLAGS = -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -I. -DVERSION='"$(VERSION)"'
WARN = -Wall -Wextra -Wpedantic -Wconversion -Wshadow
ifdef STRICT
FLAGS += $(WARN) -Werror
endif
ifdef SAN
FLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
endif

# A tool is a main file named here; every other source goes into the library.
TOOLS = capture/testcard capture/v4l2cap mux/h264fmp4 serve/fanout serve/ringput serve/ringcat serve/ondemand \
	scripts/fmp4streamer
# What nobody starts by hand.
HELPERS = service/stage
LIB = $(BUILD)/libfmp4streamer.a
SOURCES = $(wildcard capture/*.c mux/*.c hls/*.c serve/*.c scripts/*.c)
LIBSRC = $(filter-out $(TOOLS:=.c),$(SOURCES))
LIBOBJ = $(LIBSRC:%.c=$(BUILD)/%.o)
BIN = $(foreach t,$(TOOLS),$(BUILD)/$(notdir $(t)))
LIBEXEC = $(foreach t,$(HELPERS),$(BUILD)/$(notdir $(t)))
UNIT = $(patsubst tests/unit/%.c,$(BUILD)/tests/%.t,$(wildcard tests/unit/*.c))
BENCH = $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
TESTTOOL = $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/tool/*.c))
GUEST = $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/guest/*.c))
FUZZ = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/*.c))
FUZZOBJ = $(LIBSRC:%.c=$(BUILD)/fuzz/%.o)
FUZZCC = clang $(FLAGS) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all

all: $(BIN) $(LIBEXEC)

define tool
$(BUILD)/$(notdir $(1)): $(BUILD)/$(1).o $(LIB)
	$$(CC) $$(LDFLAGS) -o $$@ $$^
endef
$(foreach t,$(TOOLS) $(HELPERS),$(eval $(call tool,$(t))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIBOBJ)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tests/%.t: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(LIB) -lpthread

$(BUILD)/%: tests/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(LIB)

$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZCC) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/lib.a: $(FUZZOBJ)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/fuzz/%: tests/fuzz/%.c $(BUILD)/fuzz/lib.a
	@mkdir -p $(@D)
	$(FUZZCC) -fsanitize=fuzzer -MMD -MP -MF $@.d -o $@ $< $(BUILD)/fuzz/lib.a

# Everything the suite runs; the unit tests alone.
built: all units $(BENCH) $(TESTTOOL) $(GUEST) $(FUZZ)
units: $(UNIT)

unit: $(UNIT)
	prove -e '' $(UNIT)

test: built
	BUILD=$(BUILD) prove -e '' $(UNIT) tests/tool/*.t

bench: all $(BENCH)
	BUILD=$(BUILD) tests/bench/run

TIME ?= 60
fuzz: $(if $(TARGET),$(BUILD)/fuzz/$(TARGET),$(FUZZ))
	BUILD=$(BUILD) tests/fuzz/run $(TIME) $(notdir $^)

# A virtual machine with camera drivers: see tests/guest/README.
guest: all $(GUEST)
	BUILD=$(BUILD) tests/guest/build

stress: $(BUILD)/bench/ringstress
	$< $(TIME)

lint:
	BUILD=$(BUILD) tests/lint

# DESTDIR for packagers.
DATA = $(DESTDIR)$(PREFIX)/share/fmp4streamer
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DATA)/www \
		$(DESTDIR)$(PREFIX)/libexec/fmp4streamer
	install $(BIN) $(DESTDIR)$(PREFIX)/bin
	install $(LIBEXEC) $(DESTDIR)$(PREFIX)/libexec/fmp4streamer
	install service/run service/finish $(DATA)
	install -m 644 $(TOOLS:=.1) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 service/httpd.conf $(DATA)
	install -m 644 service/www/* $(DATA)/www

# The tools, by source, for the tests.
tools:
	@echo $(TOOLS)

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
.PHONY: all built tools units unit test bench fuzz guest stress lint install clean
