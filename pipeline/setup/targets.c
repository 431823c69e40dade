/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The targets of a request's outputs, checked before an input, interface or output is opened:
 * refuses targets that cannot be written, that are inputs, or that two rules share.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/setup/setup.h"

int cw_claims_init(struct cw_claims *claims, const struct cw_outputs *outputs,
		   const struct cw_rules *rules)
{
	const struct cw_run *run = outputs->run;
	uint32_t count = run->options.input_count;

	*claims = (struct cw_claims){.run = run,
				     .rules = rules,
				     .opener = run->options.output.opener,
				     .asking = outputs->asking};
	claims->inputs = calloc(count + 1u, sizeof(*claims->inputs));
	if (!claims->inputs)
		return -ENOMEM;
	for (uint32_t index = 0; index < count; index++) {
		const char *path = run->options.inputs[index];
		struct stat *input = &claims->inputs[claims->input_count];
		int failure = strcmp(path, "-") ? stat(path, input) : fstat(STDIN_FILENO, input);

		claims->input_count += failure == 0; /* opening it reports the failure */
	}
	return 0;
}

void cw_claims_fini(struct cw_claims *claims)
{
	cw_names_fini(&claims->names);
	free(claims->inputs);
	*claims = (struct cw_claims){0};
}

/* Sockets and terminals may be input and output at once. */
static bool is_an_input(const struct cw_claims *claims, const struct cw_target *target)
{
	const struct stat *status = &target->status;

	if (!S_ISREG(status->st_mode) && !S_ISFIFO(status->st_mode))
		return false;
	for (uint32_t index = 0; index < claims->input_count; index++) {
		if (cw_target_is_same(&claims->inputs[index], status))
			return true;
	}
	return false;
}

static bool is_stream(const struct cw_target *target)
{
	return target->kind == CW_TARGET_STREAM || target->kind == CW_TARGET_SINK ||
	       target->kind == CW_TARGET_DESCRIPTOR;
}

/* Refuses what needs a file that ends and gets a name, if the target is a stream. */
static int check_stream(const struct cw_claims *claims, const struct cw_rule *rule,
			const char *path, const struct cw_target *target, struct cw_error *error)
{
	const char *setting = cw_rule_file_setting(claims->rules, rule);

	if (!setting || !is_stream(target))
		return 0;
	return cw_error_set(error, -EINVAL, "%s needs a file, and %s is %s: %s", setting, path,
			    cw_target_describe(target), CW_RULE_FILE_CURE);
}

static int check_new(const struct cw_claims *claims, const char *path,
		     const struct cw_target *target, uid_t owner, struct cw_error *error)
{
	int result = cw_target_check(target, owner, path, error);

	if (result < 0)
		return result;
	if (target->kind != CW_TARGET_MISSING && is_an_input(claims, target))
		return target->kind == CW_TARGET_DESCRIPTOR
			   ? cw_error_set(error, -EINVAL, "%s is redirected to one of the inputs",
					  cw_target_describe(target))
			   : cw_error_set(error, -EINVAL, "output %s is one of the inputs", path);
	if (target->kind == CW_TARGET_FILE && claims->run->options.output.no_clobber)
		return cw_error_set(error, -EINVAL, "output %s exists already (--no-clobber)",
				    path);
	return 0;
}

/* Claims the object, so that two names of one object collide; a missing file by its folder. */
static int claim(struct cw_claims *claims, const char *path, const struct cw_target *target,
		 struct cw_error *error)
{
	const bool is_missing = target->kind == CW_TARGET_MISSING;
	const struct stat *status = is_missing ? &target->folder_status : &target->status;
	char *wanted, *claimed;
	bool is_taken;

	if (cw_target_is_null_device(status))
		return 0;
	if (asprintf(&wanted, "%llx:%llx/%s", (unsigned long long)status->st_dev,
		     (unsigned long long)status->st_ino, is_missing ? target->base : "") < 0)
		return cw_error_set(error, -ENOMEM, "no memory");
	claimed = cw_names_claim(&claims->names, wanted);
	is_taken = claimed && strcmp(claimed, wanted) != 0;
	free(wanted);
	if (!claimed)
		return cw_error_set(error, -ENOMEM, "no memory");
	free(claimed);
	return is_taken
		   ? cw_error_set(error, -EINVAL,
				  "another rule writes %s too; give each rule its own file", path)
		   : 0;
}

/* An output's name, while it is checked. */
struct name {
	const struct cw_rule *rule;
	const struct cw_template *template;
	const struct cw_output *kept; /* NULL: the output is new */
	char path[CW_TEMPLATE_PATH_BYTES];
	bool is_fixed;    /* the same for all packets */
	bool is_numbered; /* each file's name is another one */
	bool is_plain;    /* the name that none of these files gets */
};

/* Fills what all paths of a name begin and end with, from their fixed folder on. */
static void find_bounds(const struct name *name, char prefix[CW_TEMPLATE_PATH_BYTES], char *suffix,
			size_t suffix_room)
{
	size_t folder_bytes = cw_template_fixed_folder(name->template);
	const char *extension = cw_template_extension(name->path);
	const bool is_literal = cw_template_ends_in(name->template, extension);

	cw_template_prefix(name->template, name->rule->name, prefix);
	memmove(prefix, prefix + cw_min_size(folder_bytes, strlen(prefix)),
		strlen(prefix) + 1 - cw_min_size(folder_bytes, strlen(prefix)));
	if (is_literal) /* a number may precede it */
		prefix[cw_template_extension(prefix) - prefix] = '\0';
	snprintf(suffix, suffix_room, "%s", is_literal ? extension : "");
}

/* Asks the opener, or the process that it has become, about a name. */
static int ask(struct cw_claims *claims, const struct name *name, struct cw_opener_found *found,
	       struct cw_error *error)
{
	char prefix[CW_TEMPLATE_PATH_BYTES], suffix[CW_TEMPLATE_PATH_BYTES];
	char of[CW_TEMPLATE_PATH_BYTES], ring[CW_ENTRY_NAME_BYTES] = "";
	const struct cw_opener_output output = {
	    .path = name->path,
	    .fixed_bytes = cw_template_fixed_folder(name->template),
	    .prefix = prefix,
	    .suffix = suffix,
	    .ring = ring,
	    .is_fixed = name->is_fixed && !name->is_numbered,
	    .no_clobber = claims->run->options.output.no_clobber,
	    .sync = claims->run->options.output.sync,
	    .access = name->rule->access,
	    .hook = name->rule->hook && !name->is_plain ? name->rule->name : NULL,
	};
	int result;

	if (name->kept)
		return cw_asking_find(claims->asking, name->kept->asked, found, error);
	find_bounds(name, prefix, suffix, sizeof(suffix));
	/* A reload may begin a ring, whose list then takes over the files of this output. */
	if (cw_setup_has_ring(claims->rules, name->rule) || claims->run->is_reloadable)
		cw_template_ring_name(name->template, name->rule->name, of, ring);
	result = claims->opener ? cw_opener_add(claims->opener, &output, found, error)
				: cw_asking_add(claims->asking, &output, found, error);
	if (result == 0) {
		claims->found.is_asked = true;
		claims->found.number = found->number;
		claims->found.owner = found->owner;
		claims->found.given_to = found->given_to;
	}
	return result;
}

/* Whether the name stands for a descriptor of this process, which no other one can open. */
static bool is_descriptor(const char *path, const struct cw_target_query *query)
{
	struct cw_target target;
	bool result;

	if (cw_target_find(&target, path, query, NULL) != 0)
		return false;
	result = target.kind == CW_TARGET_DESCRIPTOR;
	cw_target_fini(&target);
	return result;
}

/* Finds the target of a name, and the user that its files belong to. */
static int find_target(struct cw_claims *claims, const struct name *name,
		       struct cw_target_query *query, struct cw_target *target,
		       struct cw_error *error)
{
	struct cw_opener_found found;
	int result;

	if (name->kept ? !name->kept->is_asked
		       : ((!claims->opener && !claims->asking) ||
			  (name->is_fixed && is_descriptor(name->path, query))))
		return cw_target_find(target, name->path, query, error);
	result = ask(claims, name, &found, error);
	if (result)
		return result;
	query->owner = found.given_to;
	*target = (struct cw_target){
	    .kind = found.kind,
	    .descriptor = -1,
	    .folder_fd = -1,
	    .base = strdup(found.base[0] ? found.base : name->path + query->fixed_bytes),
	    .status = found.status,
	    .folder_status = found.folder_status};
	return target->base ? 0 : cw_error_set(error, -ENOMEM, "no memory");
}

static void drop(const struct cw_claims *claims, uint32_t number)
{
	if (claims->opener)
		(void)cw_opener_drop(claims->opener, number, CW_OPENER_NO_HEIR);
	else
		(void)cw_asking_drop(claims->asking, number, CW_OPENER_NO_HEIR);
}

/* Finds what the plain name of a numbered output stands for. This process may not be able to look,
 * so the opener does, as for an output that gets the name. */
static int find_plain(struct cw_claims *claims, const struct name *name,
		      struct cw_target_query *query, struct cw_target *target)
{
	struct name plain = *name;
	int result;

	if (name->kept && name->kept->is_asked)
		return -ENOENT; /* it was looked at before, and none of the files has the name */
	plain.is_numbered = false;
	plain.is_plain = true;
	result = find_target(claims, &plain, query, target, NULL);
	if (claims->found.is_asked)
		drop(claims, claims->found.number);
	claims->found = (struct cw_found_target){0};
	return result;
}

/*
 * Checks the plain name of a numbered output, which none of its files gets. A stream or a folder
 * there is what the user means, so it is refused. The name is claimed in the folder that it says:
 * a link is not followed, as for the numbered names.
 */
static int check_numbered(struct cw_claims *claims, const struct name *name,
			  struct cw_target_query *query, struct cw_error *error)
{
	struct cw_target target = {.descriptor = -1, .folder_fd = -1};
	int result = 0;

	if (find_plain(claims, name, query, &target) == 0) {
		if (!name->kept &&
		    (target.kind == CW_TARGET_FOLDER || target.kind == CW_TARGET_SOCKET))
			result = cw_target_check(&target, query->owner, name->path, error);
		if (result == 0)
			result = check_stream(claims, name->rule, name->path, &target, error);
		cw_target_fini(&target);
	}
	if (result < 0)
		return result;
	query->is_later = true;
	result = find_target(claims, name, query, &target, error);
	if (result < 0)
		return name->kept ? 0 : result; /* opening the next file will report this */
	target.kind = CW_TARGET_MISSING;
	result = claim(claims, name->path, &target, error);
	cw_target_fini(&target);
	return result;
}

static int check_target(struct cw_claims *claims, const struct name *name, struct cw_error *error)
{
	struct cw_target_query query = {.standard_output =
					    claims->run->options.output.standard_output,
					.owner = claims->run->options.output.owner,
					.folders = CW_TARGET_FOLDERS_MAY_MISS,
					.fixed_bytes = cw_template_fixed_folder(name->template)};
	struct cw_target target = {.descriptor = -1, .folder_fd = -1};
	struct stat ours;
	int result;

	if (name->is_numbered)
		return check_numbered(claims, name, &query, error);
	result = find_target(claims, name, &query, &target, error);
	if (result < 0)
		return name->kept ? 0 : result; /* the output is open, or opening it reports this */
	result = name->kept ? 0 : check_new(claims, name->path, &target, query.owner, error);
	if (result == 0)
		result = check_stream(claims, name->rule, name->path, &target, error);
	if (result == 0)
		result = claim(claims, name->path, &target, error);
	claims->found.is_stream = is_stream(&target);
	claims->is_stdout = target.kind == CW_TARGET_DESCRIPTOR &&
			    fstat(query.standard_output, &ours) == 0 &&
			    cw_target_is_same(&target.status, &ours);
	cw_target_fini(&target);
	return result;
}

/* Checks that the part of the folder's name that does not depend on packets exists. */
static int check_folder(struct cw_claims *claims, struct name *name, struct cw_error *error)
{
	struct cw_target_query query = {.standard_output = -1,
					.owner = claims->run->options.output.owner,
					.fixed_bytes = cw_template_fixed_folder(name->template)};
	struct cw_target target;
	int result;

	if (!claims->opener && !claims->asking)
		strcpy(name->path + query.fixed_bytes, ".");
	result = find_target(claims, name, &query, &target, error);
	if (result == 0)
		cw_target_fini(&target);
	return result;
}

int cw_setup_target(struct cw_claims *claims, const struct cw_rule *rule,
		    const struct cw_template *template, const struct cw_output *kept,
		    struct cw_error *error)
{
	const struct cw_template_values values = {.rule = rule->name};
	struct name name = {.rule = rule,
			    .template = template,
			    .kept = kept,
			    .is_fixed = !template->has_kind[CW_PART_TIME] &&
					!template->has_kind[CW_PART_IFACE],
			    .is_numbered = cw_rule_is_numbered(rule, template)};
	char where[512];
	int result;

	claims->found = (struct cw_found_target){0};
	claims->is_stdout = false;
	/* Other names are known only while writing, when it is too late to refuse. */
	if (!kept && claims->run->options.output.no_clobber &&
	    (!name.is_fixed || cw_rule_rotates(rule)))
		result = cw_error_set(error, -EINVAL,
				      "--no-clobber needs a fixed name without rotation");
	else if (cw_template_expand(template, &values, name.path) < 0)
		result = cw_error_set(error, -EINVAL, "the output name is too long");
	else if (name.is_fixed)
		result = check_target(claims, &name, error);
	else
		result = kept ? 0 : check_folder(claims, &name, error);
	if (result == 0)
		return 0;
	cw_rule_describe(claims->rules, rule, rule->line, where, sizeof(where));
	cw_error_prefix(error, "%s", where);
	if (result != -ENOMEM && result != -EMFILE && result != -ENFILE && result != -EROFS)
		error->code = -EINVAL; /* the request is wrong, not the moment */
	return error->code;
}

int cw_setup_targets(struct cw_outputs *outputs, struct cw_error *error)
{
	const struct cw_rules *rules = outputs->run->options.rules;
	struct cw_claims claims;
	int result = 0;

	outputs->found = calloc(rules->count, sizeof(*outputs->found));
	if (!outputs->found || cw_claims_init(&claims, outputs, rules) < 0)
		return cw_error_set(error, -ENOMEM, "no memory for %u outputs", rules->count);
	for (uint32_t index = 0; index < rules->count && result == 0; index++) {
		const struct cw_rule *rule = &rules->rules[index];
		struct cw_template *name;

		if (cw_template_parse(&name, rule->write, outputs->run->options.output.directory,
				      NULL) < 0)
			continue; /* cw_setup_output reports it */
		result = cw_setup_target(&claims, rule, name, NULL, error);
		outputs->found[index] = claims.found;
		outputs->has_used_stdout |= claims.is_stdout;
		cw_template_free(name);
	}
	cw_claims_fini(&claims);
	return result;
}
