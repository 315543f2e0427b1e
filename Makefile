# fmp4streamer: one Makefile, everything under $(BUILD).
#
#   make                       the tools, as a user builds them
#   make test                  every test that needs no packages beyond scripts/test's list
#   make STRICT=1              warnings are errors (what our own builds use)
#   make BUILD=build/asan SAN=address,undefined
#   make install PREFIX=/usr/local
#   make deb                   a Debian package in $(BUILD)/deb
#   make deb-root              what becomes of it on a bare Debian
#   make guest-debian          and on a whole one, in a virtual machine
#   make fuzz TIME=60 [TARGET=misb]    every fuzzer, or one, for so many seconds
#   make bench                 cost and delay, beside the least there can be
#   make bench-fan             of these, what viewers cost
#   make bench-tls             what TLS costs in front of fanout
#   make bench-hls             what HLS segments cost, beside nginx
#   make lab [LAB="plain far"] what browsers make of stream.mp4: see tests/browser/lab -l; root's
#   make players [TIME=120]    HLS in browsers and players of all kinds
#   make corpus-table          what h264fmp4, ffmpeg and GStreamer make of the corpus, as Markdown
#   make stress TIME=60        a ring's writer flat out and 16 readers
#   make soak TIME=900         the appliance under a killer
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
TOOLS = capture/testcard capture/v4l2cap mux/h264fmp4 hls/fmp4hls serve/fanout serve/ringput serve/ringcat serve/ondemand \
	hls/fmp4clip scripts/fmp4streamer
# What nobody starts by hand.
HELPERS = service/stage serve/checkpassword
# Scripts that people start.
COMMANDS = scripts/fmp4streamer-user scripts/fmp4streamer-clip
LIB = $(BUILD)/libfmp4streamer.a
SOURCES = $(wildcard capture/*.c mux/*.c hls/*.c serve/*.c scripts/*.c)
LIBSRC = $(filter-out $(TOOLS:=.c) serve/checkpassword.c,$(SOURCES))
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

all: $(BIN) $(LIBEXEC) $(COMMANDS:scripts/%=$(BUILD)/%)

define tool
$(BUILD)/$(notdir $(1)): $(BUILD)/$(1).o $(LIB)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach t,$(TOOLS) $(HELPERS),$(eval $(call tool,$(t))))
# Where there is no libcrypt, as for most cross compilers: make HELPERS=service/stage
$(BUILD)/checkpassword: LIBS = -lcrypt

# They find the tools that they use beside them.
$(BUILD)/fmp4streamer-%: scripts/fmp4streamer-%
	@mkdir -p $(@D)
	install $< $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIBOBJ)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tests/%.t: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(LIB) -lpthread

$(BUILD)/%: tests/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(LIB) $(LIBS)
$(BUILD)/bench/load: LIBS = -lssl -lcrypto

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
	BUILD=$(BUILD) HARNESS_RULESFILE=tests/order.yml prove -j 2 -e '' $(UNIT) tests/tool/*.t

bench: all $(BENCH)
	BUILD=$(BUILD) tests/bench/run
	BUILD=$(BUILD) tests/bench/fan
	BUILD=$(BUILD) tests/bench/fan-others

bench-fan: all $(BENCH)
	BUILD=$(BUILD) tests/bench/fan

bench-hls: all
	BUILD=$(BUILD) tests/bench/hls

bench-tls: all $(BUILD)/bench/load $(BUILD)/bench/pace
	BUILD=$(BUILD) tests/bench/tls

TIME ?= 60
fuzz: $(if $(TARGET),$(BUILD)/fuzz/$(TARGET),$(FUZZ))
	BUILD=$(BUILD) tests/fuzz/run $(TIME) $(notdir $^)

# A virtual machine with camera drivers: see tests/guest/README.
guest: all $(GUEST)
	BUILD=$(BUILD) tests/guest/build

# The package on a whole Debian with systemd, in a virtual machine, for some minutes: root only.
guest-debian: guest deb
	BUILD=$(BUILD) tests/guest/debian/build $(BUILD)/deb/fmp4streamer_*.deb
	BUILD=$(BUILD) GUEST_DEBIAN=1 prove -v -e '' tests/tool/debian.t

# HLS in other people's players, TIME seconds in each (not of 60, but 120, where nobody says it).
players: all
	BUILD=$(BUILD) tests/players/run -n $(if $(filter file,$(origin TIME)),120,$(TIME)) $(PLAYERS)

lab: all
	BUILD=$(BUILD) tests/browser/lab -n 5 $(LAB)

corpus-table: all
	BUILD=$(BUILD) tests/tool/corpuspeers

stress: $(BUILD)/bench/ringstress
	$< $(TIME)

soak: built
	BUILD=$(BUILD) KILLER_SECONDS=$(TIME) tests/tool/killer.t

lint:
	BUILD=$(BUILD) tests/lint

# Where things go. For packagers: DESTDIR, and SYSTEM_UNITS where systemd looks for its units elsewhere.
# In ~/.local it looks for a user's in share.
SYSTEM_UNITS = $(PREFIX)/lib/systemd/system
USER_UNITS = $(PREFIX)/$(if $(filter $(HOME)/%,$(PREFIX)),share,lib)/systemd/user
DATA = $(PREFIX)/share/fmp4streamer
MAN = $(PREFIX)/share/man
COMPLETIONS = $(PREFIX)/share/bash-completion/completions
FOLDERS = $(wildcard capture mux hls serve scripts service)
PAGES = $(wildcard $(FOLDERS:=/*.[1-8]))
SERVICE = $(wildcard $(addprefix service/,run finish users certificate certbot-deploy))
EXAMPLES = $(wildcard $(addprefix service/,haproxy.cfg nginx-stream.conf nginx-http2.conf nginx-edge.conf lighttpd.conf))

# $(call put,MODE,FILES,DIRECTORY) and $(call unit,FILE,DIRECTORY)
put = $(if $(strip $(2)),install -d $(DESTDIR)$(3) && install -m $(1) $(2) $(DESTDIR)$(3))
unit = sed '/PREFIX/d; s,/usr/local/,$(PREFIX)/,' $(1) | install -D -m 644 /dev/stdin $(DESTDIR)$(2)/fmp4streamer.service

install: all
	$(call put,755,$(BIN) $(COMMANDS),$(PREFIX)/bin)
	$(call put,755,$(LIBEXEC),$(PREFIX)/libexec/fmp4streamer)
	$(call put,755,$(SERVICE),$(DATA))
	$(call put,644,service/httpd.conf service/fmp4streamer.conf.dist,$(DATA))
	$(call put,644,$(wildcard service/www/*),$(DATA)/www)
	$(call put,644,$(EXAMPLES),$(DATA)/examples)
	$(call put,644,$(filter %.1,$(PAGES)),$(MAN)/man1)
	$(call put,644,$(filter %.5,$(PAGES)),$(MAN)/man5)
	$(call put,644,$(filter %.8,$(PAGES)),$(MAN)/man8)
	$(call unit,service/fmp4streamer.service,$(SYSTEM_UNITS))
	$(call unit,service/fmp4streamer.user.service,$(USER_UNITS))
	install -D -m 644 service/fmp4streamer.bash-completion $(DESTDIR)$(COMPLETIONS)/fmp4streamer

# $(BUILD)/deb/fmp4streamer_VERSION_ARCH.deb: not signed, of the tree as it is, with Debian's own flags.
DEBTREE = $(BUILD)/deb/fmp4streamer-$(VERSION)
deb:
	test "$$(dpkg-parsechangelog -l service/debian/changelog -S Version)" = $(VERSION)
	rm -rf $(BUILD)/deb && mkdir -p $(DEBTREE)
	tar -cf - $(FOLDERS) Makefile README.md LICENSE CHANGELOG.md | tar -C $(DEBTREE) -xf -
	mv $(DEBTREE)/service/debian $(DEBTREE)/debian
	cd $(DEBTREE) && env -i PATH="$$PATH" HOME="$$HOME" dpkg-buildpackage -us -uc -b

# The package on a bare Debian of its own, in a chroot: root only.
deb-root: all
	scripts/packages build-essential debhelper lintian debootstrap systemd bash-completion curl
	BUILD=$(BUILD) PACKAGE_ROOT=1 prove -v -e '' tests/tool/package.t

# The tools, by source, for the tests.
tools:
	@echo $(TOOLS)

clean:
	rm -rf $(BUILD)

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/fuzz/*/*.d)
.PHONY: all built tools units unit test corpus-table bench bench-fan bench-hls bench-tls fuzz guest guest-debian lab players stress lint install deb deb-root clean
