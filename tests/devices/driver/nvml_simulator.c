/* A driver of NVIDIA's without a processor, as a shared library: real programs that use NVML run on it.
 *
 *   cc -shared -fPIC -O2 -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 nvml_simulator.c -lpthread
 *
 * -DOLD_DRIVER leaves out what a driver of 2021 lacks.
 * A device has stretches of load; energy, power, utilisation and the ring of samples follow from them, each in steps as
 * coarse as the real ones. The clock is the machine's, or stands where the test puts it.
 * Programs that cannot call the sim_ functions at the end get two devices, the first of them busy all the time.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long u64;
typedef unsigned int u32;
enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15, VERSION = 25 };
enum { DEVICES = 8, STRETCHES = 4096, PROCESSES = 64, RULES = 128, RING = 100 };

typedef struct { u64 start, end; } stretch;
typedef struct { u32 pid; u64 used; u32 gpu_instance, compute_instance; } process;
typedef struct device {
    u32 index, divided, is_instance, temperature, processes, stretches, lost, idle_mw, busy_mw;
    u64 total, reserved, used, throttle, errors, booted, energy_step, util_step;
    struct device *parent;
    char uuid[96], name[96], bus[32];
    stretch load[STRETCHES];
    process process[PROCESSES];
} device;
typedef struct { char function[64]; u64 calls, after; int code; u32 delay_us; } rule;

static device whole[DEVICES], instance[DEVICES];
static rule rules[RULES];
static u32 count, ruled;
static int opened, standing;
static u64 stands_at;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- every call: counted, delayed, failed ---- */
static rule *rule_of(const char *function) {
    for (u32 i = 0; i < ruled; i++)
        if (!strcmp(rules[i].function, function)) return &rules[i];
    if (ruled == RULES) return &rules[RULES - 1];
    strncpy(rules[ruled].function, function, 63);
    return &rules[ruled++];
}
static int enter(const char *function) {
    pthread_mutex_lock(&lock);
    rule *found = rule_of(function);
    u64 calls = ++found->calls;
    u32 delay = found->delay_us;
    int code = calls > found->after ? found->code : OK;
    pthread_mutex_unlock(&lock);
    if (delay) usleep(delay);
    return code;
}
#define ENTER do { int code_ = enter(__func__); if (code_) return code_; if (!opened) return UNINITIALIZED; } while (0)
#define DEVICE(d) do { ENTER; if (!(d)) return INVALID; if ((d)->lost) return LOST; } while (0)
#define WHOLE(d) do { DEVICE(d); if ((d)->is_instance) return NOT_SUPPORTED; } while (0)
#define UNDIVIDED(d) do { WHOLE(d); if ((d)->divided) return NOT_SUPPORTED; } while (0)

/* ---- what follows from the load ---- */
static u64 now_us(void) {
    if (standing) return stands_at;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
static u64 stepped(u64 at, u64 step) { return step ? at - at % step : at; }
static u64 busy_us(const device *d, u64 from, u64 to) {
    u64 sum = 0;
    for (u32 i = d->stretches; i-- > 0;) {
        u64 start = d->load[i].start, end = d->load[i].end;
        if (end <= from) break;
        if (start < from) start = from;
        if (end > to) end = to;
        if (end > start) sum += end - start;
    }
    return sum;
}
static u64 energy_mj(const device *d, u64 at) {
    u64 idle = (at - d->booted) * d->idle_mw, extra = busy_us(d, d->booted, at) * (d->busy_mw - d->idle_mw);
    return (idle + extra) / 1000000;
}
static u32 util(const device *d, u64 end) {
    return end < d->util_step ? 0 : (u32)((busy_us(d, end - d->util_step, end) * 100 + d->util_step / 2) / d->util_step);
}
static u32 is_busy(const device *d) {
    u64 at = now_us();
    for (u32 i = 0; i < d->stretches; i++)
        if (d->load[i].start <= at && at < d->load[i].end) return 1;
    return 0;
}

/* ---- the library ---- */
int nvmlInitWithFlags(u32 flags) {
    (void)flags;
    int code = enter(__func__);
    if (!code) opened++;
    return code;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) {
    ENTER;
    opened--;
    return OK;
}
const char *nvmlErrorString(int code) { (void)code; return "simulated error"; }
static int text(char *into, u32 room, const char *from) {
    if (room < strlen(from) + 1) return TOO_SMALL;
    strcpy(into, from);
    return OK;
}
int nvmlSystemGetDriverVersion(char *into, u32 room) { ENTER; return text(into, room, "580.00.00"); }
int nvmlSystemGetNVMLVersion(char *into, u32 room) { ENTER; return text(into, room, "13.580.00"); }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { ENTER; *version = 13000; return OK; }
int nvmlSystemGetCudaDriverVersion(int *version) { ENTER; *version = 13000; return OK; }

/* ---- devices ---- */
int nvmlDeviceGetCount_v2(u32 *number) { ENTER; *number = count; return OK; }
int nvmlDeviceGetHandleByIndex_v2(u32 index, device **handle) {
    ENTER;
    if (index >= count) return INVALID;
    if (whole[index].lost) return LOST;
    *handle = &whole[index];
    return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, device **handle) {
    ENTER;
    for (u32 i = 0; i < count; i++) {
        if (!strcmp(uuid, whole[i].uuid)) *handle = &whole[i];
        else if (whole[i].divided && !strcmp(uuid, instance[i].uuid)) *handle = &instance[i];
        else continue;
        return whole[i].lost ? LOST : OK;
    }
    return NOT_FOUND;
}
int nvmlDeviceGetUUID(device *d, char *into, u32 room) { DEVICE(d); return text(into, room, d->uuid); }
int nvmlDeviceGetName(device *d, char *into, u32 room) { DEVICE(d); return text(into, room, d->name); }
int nvmlDeviceGetIndex(device *d, u32 *index) { DEVICE(d); *index = d->index; return OK; }
int nvmlDeviceGetMigMode(device *d, u32 *now, u32 *later) { WHOLE(d); *now = *later = d->divided; return OK; }
int nvmlDeviceGetMaxMigDeviceCount(device *d, u32 *number) { WHOLE(d); *number = d->divided; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(device *d, u32 place, device **handle) {
    WHOLE(d);
    if (!d->divided || place) return NOT_FOUND;
    *handle = &instance[d->index];
    return OK;
}
int nvmlDeviceIsMigDeviceHandle(device *d, u32 *is) { DEVICE(d); *is = d->is_instance; return OK; }

/* ---- readings ---- */
typedef struct { u64 total, free, used; } memory;
typedef struct { u32 version; u64 total, reserved, free, used; } memory2;
typedef struct { u32 gpu, memory; } rates;
typedef union { double d; int i; u32 u; unsigned long l; u64 ull; long long ll; unsigned short s; } value;
typedef struct { u64 at; value value; } sample;
typedef struct { u32 field, scope; long long at, latency; u32 kind; int code; value value; } field;

int nvmlDeviceGetMemoryInfo(device *d, memory *m) {
    DEVICE(d);
    m->total = d->total, m->used = d->used + d->reserved, m->free = m->total - m->used;
    return OK;
}
int nvmlDeviceGetUtilizationRates(device *d, rates *r) {
    UNDIVIDED(d);
    r->gpu = util(d, stepped(now_us(), d->util_step)), r->memory = r->gpu / 2;
    return OK;
}
int nvmlDeviceGetTotalEnergyConsumption(device *d, u64 *mj) {
    WHOLE(d);
    *mj = energy_mj(d, stepped(now_us(), d->energy_step));
    return OK;
}
int nvmlDeviceGetPowerUsage(device *d, u32 *mw) { WHOLE(d); *mw = is_busy(d) ? d->busy_mw : d->idle_mw; return OK; }
int nvmlDeviceGetEnforcedPowerLimit(device *d, u32 *mw) { WHOLE(d); *mw = d->busy_mw; return OK; }
int nvmlDeviceGetTemperature(device *d, u32 sensor, u32 *c) { (void)sensor; DEVICE(d); *c = d->temperature; return OK; }
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, u64 *mask) { DEVICE(d); *mask = d->throttle; return OK; }
int nvmlDeviceGetSamples(device *d, u32 what, u64 since, u32 *kind, u32 *room, sample *into) {
    UNDIVIDED(d);
    u64 step = d->util_step, last = stepped(now_us(), step), first = last > RING * step ? last - (RING - 1) * step : step;
    u32 found = 0;
    if (what != 1) return NOT_SUPPORTED;
    *kind = 1;
    if (!into) { *room = RING; return OK; }
    for (u64 at = first; at <= last && found < *room; at += step)
        if (at > since) into[found].at = at, into[found++].value.u = util(d, at);
    *room = found;
    return found ? OK : NOT_FOUND;
}
int nvmlDeviceGetFieldValues(device *d, int number, field *fields) {
    DEVICE(d);
    for (field *f = fields; f < fields + number; f++) {
        f->at = now_us(), f->code = d->is_instance ? NOT_SUPPORTED : OK, f->kind = 3;
        if (f->field == 83) f->value.ull = energy_mj(d, stepped(now_us(), d->energy_step));
        else if (f->field == 186 && f->scope < 2) f->kind = 1, f->value.u = is_busy(d) ? d->busy_mw : d->idle_mw;
        else if (f->field == 3 || f->field == 4) f->value.ull = f->field == 4 ? d->errors : 0;
        else f->code = NOT_SUPPORTED;
    }
    return OK;
}
static int list(device *d, u32 *room, process *into) {
    u32 had = *room;
    *room = d->processes;
    if (had < d->processes) return TOO_SMALL;
    if (d->processes && into) memcpy(into, d->process, d->processes * sizeof(process));
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v2(device *d, u32 *room, process *into) { DEVICE(d); return list(d, room, into); }
#ifndef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v3(device *d, u32 *room, process *into) { DEVICE(d); return list(d, room, into); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(device *d, u32 *room, process *into) { (void)into; DEVICE(d); *room = 0; return OK; }
int nvmlDeviceGetCurrentClocksEventReasons(device *d, u64 *mask) { DEVICE(d); *mask = d->throttle; return OK; }
int nvmlDeviceGetMemoryInfo_v2(device *d, memory2 *m) {
    DEVICE(d);
    if (m->version != (sizeof(memory2) | 2u << 24)) return VERSION;
    m->total = d->total, m->used = d->used, m->reserved = d->reserved, m->free = d->total - d->used - d->reserved;
    return OK;
}
#endif

/* ---- for tests ---- */
void sim_reset(u32 devices, int standing_clock, u64 at_us) {
    count = devices, opened = 0, ruled = 0, standing = standing_clock, stands_at = at_us;
    memset(rules, 0, sizeof rules);
    for (u32 i = 0; i < DEVICES; i++) {
        device *d = &whole[i];
        memset(d, 0, sizeof *d);
        d->index = i, d->total = 80ULL << 30, d->reserved = 600ULL << 20, d->temperature = 35;
        d->idle_mw = 70000, d->busy_mw = 700000, d->energy_step = 100000, d->util_step = 166666, d->booted = now_us();
        snprintf(d->uuid, 96, "GPU-51400000-0000-0000-0000-%012u", i);
        snprintf(d->name, 96, "Simulated H100");
        instance[i] = *d;
        instance[i].is_instance = 1, instance[i].parent = d, instance[i].total = 10ULL << 30, instance[i].reserved = 0;
        snprintf(instance[i].uuid, 96, "MIG-51400000-0000-0000-0000-%012u", i);
    }
}
void sim_clock(u64 at_us) { stands_at = at_us; }
void sim_span(u32 i, u64 start, u64 end) {
    if (whole[i].stretches < STRETCHES) whole[i].load[whole[i].stretches++] = (stretch){start, end};
}
void sim_set(u32 i, const char *what, u64 to) {
    device *d = &whole[i];
#define SET(name) if (!strcmp(what, #name)) d->name = to
    SET(total); SET(reserved); SET(used); SET(throttle); SET(errors); SET(temperature); SET(lost); SET(divided); SET(booted);
}
void sim_process(u32 i, u32 pid, u64 used) {
    if (whole[i].processes < PROCESSES) whole[i].process[whole[i].processes++] = (process){pid, used, ~0u, ~0u};
}
void sim_fail(const char *function, int code, u64 after) {
    rule *found = rule_of(function);
    found->code = code, found->after = found->calls + after;
}
void sim_delay(const char *function, u32 us) { rule_of(function)->delay_us = us; }
u64 sim_calls(const char *function) { return rule_of(function)->calls; }
u64 sim_energy_mj(u32 i) { return energy_mj(&whole[i], now_us()); }

__attribute__((constructor)) static void boot(void) {
    sim_reset(2, 0, 0);
    whole[0].used = 3ULL << 30;
    whole[0].booted = 1;
    sim_span(0, 1, ~0ULL >> 1);
    sim_process(0, getpid(), 2ULL << 30);
}
