// SPDX-License-Identifier: BSD-3-Clause
// C++: list the interfaces, and the link type of a file: devices [FILE]
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <capweir/capweir.h>

namespace
{

using handle_ptr = std::unique_ptr<cw_handle, void (*)(cw_handle *)>;

handle_ptr open_file(const std::string &path)
{
	cw_handle *handle = nullptr;
	cw_error error{};

	if (cw_handle_open_offline(&handle, path.c_str(), &error) < 0)
		throw std::runtime_error(error.text);
	return {handle, cw_handle_free};
}

void list_devices()
{
	cw_device *devices = nullptr;
	size_t count = 0;
	cw_error error{};

	if (cw_devices_list(&devices, &count, &error) < 0)
		throw std::runtime_error(error.text);
	std::unique_ptr<cw_device, void (*)(cw_device *)> owner(devices, cw_devices_free);
	for (size_t i = 0; i < count; i++)
		std::printf("%s%s\n", devices[i].name,
			    devices[i].flags & CW_DEVICE_UP ? " up" : "");
}

} // namespace

int main(int argc, char **argv)
{
	try {
		list_devices();
		if (argc > 1)
			std::printf("%s\n", cw_linktype_description(
						cw_handle_linktype(open_file(argv[1]).get())));
	} catch (const std::exception &failure) {
		std::fprintf(stderr, "%s\n", failure.what());
		return 1;
	}
	return 0;
}
