/* A module of the C library's name service, for containers that run as whatever user their engine was told: who runs a
 * program has an entry, though no file knows the number. It speaks of the calling process alone, never of others.
 *
 * Asked after the files (/etc/nsswitch.conf). Functions: glibc manual, "Adding another Service to NSS".
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define HOME "/home/user"

/* Copies a text to the front of what is left of the caller's buffer; nothing where that is too small. */
static char *kept(const char *text, char **buffer, size_t *left) {
  size_t size = strlen(text) + 1;
  char *place = *buffer;
  if (size > *left) return NULL;
  memcpy(place, text, size);
  *buffer += size;
  *left -= size;
  return place;
}

static enum nss_status user(uid_t uid, struct passwd *entry, char *buffer, size_t size, int *error) {
  char name[32];
  const char *home = secure_getenv("HOME");
  if (home == NULL || home[0] != '/' || home[1] == '\0') home = HOME;
  snprintf(name, sizeof name, "user%lu", (unsigned long) uid);
  entry->pw_uid = uid;
  entry->pw_gid = getgid();
  if ((entry->pw_name = kept(name, &buffer, &size)) == NULL || (entry->pw_passwd = kept("x", &buffer, &size)) == NULL
      || (entry->pw_gecos = kept("", &buffer, &size)) == NULL || (entry->pw_dir = kept(home, &buffer, &size)) == NULL
      || (entry->pw_shell = kept("/bin/bash", &buffer, &size)) == NULL) {
    *error = ERANGE;
    return NSS_STATUS_TRYAGAIN;
  }
  return NSS_STATUS_SUCCESS;
}

static enum nss_status group(gid_t gid, struct group *entry, char *buffer, size_t size, int *error) {
  static char *nobody[] = {NULL};
  char name[32];
  snprintf(name, sizeof name, "group%lu", (unsigned long) gid);
  entry->gr_gid = gid;
  entry->gr_mem = nobody;
  if ((entry->gr_name = kept(name, &buffer, &size)) == NULL
      || (entry->gr_passwd = kept("x", &buffer, &size)) == NULL) {
    *error = ERANGE;
    return NSS_STATUS_TRYAGAIN;
  }
  return NSS_STATUS_SUCCESS;
}

/* Whether a name is that of a number, as it is made above. */
static int names(const char *name, const char *kind, unsigned long number) {
  char made[32];
  snprintf(made, sizeof made, "%s%lu", kind, number);
  return strcmp(name, made) == 0;
}

enum nss_status _nss_anyone_getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size, int *error) {
  if (uid == getuid() || uid == geteuid()) return user(uid, entry, buffer, size, error);
  *error = ENOENT;
  return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_anyone_getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size, int *error) {
  if (names(name, "user", getuid())) return user(getuid(), entry, buffer, size, error);
  if (names(name, "user", geteuid())) return user(geteuid(), entry, buffer, size, error);
  *error = ENOENT;
  return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_anyone_getgrgid_r(gid_t gid, struct group *entry, char *buffer, size_t size, int *error) {
  if (gid == getgid() || gid == getegid()) return group(gid, entry, buffer, size, error);
  *error = ENOENT;
  return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_anyone_getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size, int *error) {
  if (names(name, "group", getgid())) return group(getgid(), entry, buffer, size, error);
  if (names(name, "group", getegid())) return group(getegid(), entry, buffer, size, error);
  *error = ENOENT;
  return NSS_STATUS_NOTFOUND;
}
